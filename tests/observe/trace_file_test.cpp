#include "runtime/observe/trace_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/observe/event_stream.hpp"
#include "tests/observe/captured_stderr.hpp"
#include "tests/os/child.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::observe;
using nlohmann::json;

namespace {

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/weir-trace-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::unique_ptr<EventStream> stream_into(const std::string& path, unsigned markers = 2) {
  return EventStream::create(markers, {false, path}).value();
}

json read(const std::string& path) {
  std::ifstream file(path);
  return json::parse(file);
}

void run_cycle(EventStream& stream, std::uint64_t live_bytes = 1 << 20) {
  stream.begin_cycle(CycleKind::full, Reason::growth);
  stream.phase(Phase::roots);
  stream.phase(Phase::mark);
  {
    Span marking(stream.marker(0), Activity::marking);
    { const Span idle(stream.marker(0), Activity::idle); }
    marking.set_value(42);
  }
  stream.phase(Phase::resume);
  stream.end_cycle({.heap_before_bytes = 2 * live_bytes, .live_bytes = live_bytes});
  stream.publish();
}

std::uint64_t ns_of(const json& us) {
  return static_cast<std::uint64_t>(std::llround(us.get<double>() * 1000));
}

// Tracks by the names that the file gives them.
std::map<std::uint64_t, std::string> names_of(const json& events) {
  std::map<std::uint64_t, std::string> names;
  for (const json& event : events)
    if (event["name"] == "thread_name") {
      CHECK(names.count(event["tid"]) == 0);
      names[event["tid"]] = event["args"]["name"];
    }
  return names;
}

std::vector<json> on_track(const json& events, const std::string& name) {
  std::vector<json> result;
  for (const auto& [id, its_name] : names_of(events))
    if (its_name == name)
      for (const json& event : events)
        if (event.contains("tid") && event["tid"] == id && event["ph"] != "M")
          result.push_back(event);
  return result;
}

std::size_t count(const std::vector<json>& events, const std::string& name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(events, [&](const json& event) { return event["name"] == name; }));
}

// As readers do. A span may have been drained before the one around it had ended.
json sorted_by_begin(json events) {
  const auto begin = [](const json& event) {
    return event.contains("ts") ? event["ts"].get<double>() : -1;
  };
  std::stable_sort(events.begin(), events.end(),
                   [&](const json& a, const json& b) { return begin(a) < begin(b); });
  return events;
}

// On each track each span lies within the one that is open when it begins, and comes after it; each
// event's track has a name that stands before the event.
void check_nesting(const json& events) {
  struct Open {
    std::uint64_t begin, end;
  };
  std::map<std::uint64_t, std::vector<Open>> tracks;
  std::set<std::uint64_t> named;
  for (const json& event : events) {
    CHECK(event["pid"] == ::getpid());
    if (event["name"] == "thread_name") named.insert(event["tid"].get<std::uint64_t>());
    if (event["ph"] == "M") continue;
    const std::uint64_t track = event["tid"];
    CHECK(named.count(track) == 1);
    if (event["ph"] != "X") continue;
    const std::uint64_t begin = ns_of(event["ts"]);
    const Open span{begin, begin + ns_of(event["dur"])};
    std::vector<Open>& open = tracks[track];
    while (!open.empty() && open.back().end <= span.begin) open.pop_back();
    if (!open.empty()) {
      CHECK(span.begin >= open.back().begin);
      CHECK(span.end <= open.back().end);
    }
    open.push_back(span);
  }
}

std::string heap_name(const EventStream& stream) {
  return "heap " + std::to_string(stream.heap_number());
}

}  // namespace

TEST_CASE("a trace has the cycles, their phases, and what markers did") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  const auto stream = stream_into(path);
  CHECK(read(path).size() == 1);  // whole from the beginning
  for (std::uint64_t i = 1; i <= 3; ++i) {
    run_cycle(*stream, i << 20);
    const json events = read(path);
    check_nesting(events);
    const auto collector = on_track(events, heap_name(*stream) + " collector");
    CHECK(count(collector, "full (growth)") == i);
    for (const char* phase : {"stop", "roots", "mark", "resume"})
      CHECK(count(collector, phase) == i);
    CHECK(count(collector, "sweep") == 0);
    const auto marker = on_track(events, heap_name(*stream) + " marker 1");
    CHECK(count(marker, "marking") == i);
    CHECK(count(marker, "idle") == i);
    CHECK(marker[0]["name"] == "marking");
    CHECK(marker[0]["args"]["value"] == 42);
    CHECK(on_track(events, heap_name(*stream) + " marker 2").empty());
  }
}

TEST_CASE("a cycle in the trace says what its summary says") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  const auto stream = stream_into(path);
  stream->begin_cycle(CycleKind::minor, Reason::out_of_memory);
  const CycleSummary cycle =
      stream->end_cycle({7000, 6000, 5000, 4000, 3000, 2, 1000, 8, 900, 70, 30, 60, 280'000, 3, 1,
                         2'000'000, CycleKind::full, Reason::cheaper});
  stream->publish();
  const json events = read(path);
  for (const json& event : events) {
    if (event["name"] == "minor (out of memory)") {
      CHECK(ns_of(event["dur"]) == cycle.pause_ns);
      const json expected = {{"number", 1},
                             {"heap_before_bytes", 7000},
                             {"heap_after_bytes", 6000},
                             {"live_bytes", 5000},
                             {"freed_bytes", 4000},
                             {"promoted_bytes", 3000},
                             {"markers", 2},
                             {"marker_cpu_ns", 1000},
                             {"young_blocks", 8},
                             {"pages_armed", 900},
                             {"pages_dirty", 70},
                             {"pages_hot", 30},
                             {"traps", 60},
                             {"scanned_bytes", 280'000},
                             {"went_hot", 3},
                             {"rearmed", 1},
                             {"nursery_bytes", 2'000'000},
                             {"next", "full (cheaper)"},
                             {"since_last_ns", cycle.since_last_ns}};
      CHECK(event["args"] == expected);
    }
  }
  const auto curve = [&](const char* name) {
    std::vector<std::uint64_t> values;
    for (const json& event : events)
      if (event["name"] == heap_name(*stream) + " " + name)
        values.push_back(event["args"]["value"]);
    return values;
  };
  CHECK(curve("heap bytes") == std::vector<std::uint64_t>{7000, 6000});
  CHECK(curve("dirty pages") == std::vector<std::uint64_t>{70});
  CHECK(curve("hot pages") == std::vector<std::uint64_t>{30});
  CHECK(curve("nursery bytes") == std::vector<std::uint64_t>{2'000'000});
}

TEST_CASE("several heaps and their mutators share a file, at once and one after another") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  std::vector<std::string> heaps;
  {
    const auto one = stream_into(path);
    const auto other = stream_into(path);
    const auto mutator = one->add_mutator().value();
    mutator->span(Activity::stopped, mutator->now(), mutator->now());
    run_cycle(*other);
    CHECK(on_track(read(path), heap_name(*one) + " mutator 1").empty());  // not its heap's cycle
    run_cycle(*one);
    CHECK(on_track(read(path), heap_name(*one) + " mutator 1").size() == 1);
    heaps = {heap_name(*one), heap_name(*other)};
  }
  const auto later = stream_into(path);
  run_cycle(*later);
  heaps.push_back(heap_name(*later));
  const json events = read(path);
  check_nesting(events);
  for (const std::string& heap : heaps)
    CHECK(count(on_track(events, heap + " collector"), "full (growth)") == 1);
}

TEST_CASE("what a mutator wrote after the last cycle is in the trace when it detaches") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  const auto stream = stream_into(path);
  auto mutator = stream->add_mutator().value();
  mutator->instant(Instant::out_of_memory, 4096);
  CHECK(read(path).size() == 1);
  mutator.reset();
  const auto track = on_track(read(path), heap_name(*stream) + " mutator 1");
  REQUIRE(track.size() == 1);
  CHECK(track[0]["name"] == "out of memory");
  CHECK(track[0]["args"]["value"] == 4096);
}

TEST_CASE("what did not fit is counted where a person looks") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  const weir::test::CapturedStderr captured;
  const auto stream = EventStream::create(2, {true, path}).value();
  const std::size_t room = 4096;
  for (std::size_t i = 0; i < room + 10; ++i)
    const Span marking(stream->marker(1), Activity::marking);
  run_cycle(*stream);
  const json events = read(path);
  check_nesting(events);
  const auto track = on_track(events, heap_name(*stream) + " marker 2");
  CHECK(count(track, "marking") == room);
  REQUIRE(count(track, "events lost") == 1);
  CHECK(track.back()["args"]["value"] == 10);
  CHECK(stream->statistics().events_lost == 10);
  CHECK(captured.text().find(", 10 events lost\n") != std::string::npos);
  run_cycle(*stream);
  CHECK(stream->statistics().events_lost == 10);
  CHECK(captured.text().find("since the last\n") != std::string::npos);
}

TEST_CASE("threads write, attach and detach while cycles are drained") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  weir::test::Random random(weir::test::seed_for("trace_file"));
  const auto stream = stream_into(path);
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> lost{0};
  std::vector<std::thread> mutators;
  for (int i = 0; i < 3; ++i)
    mutators.emplace_back([&, seed = random()] {
      weir::test::Random mine(seed);
      do {
        const auto writer = stream->add_mutator().value();
        for (std::uint64_t n = mine() % 400; n > 0; --n, written += 2) {
          const Span outer(*writer, Activity::waiting);
          const Span inner(*writer, Activity::stopped);
        }
        lost += writer->lost();
      } while (!done);
    });
  for (std::size_t i = 0; i < weir::test::scaled(200); ++i) run_cycle(*stream);
  done = true;
  for (std::thread& mutator : mutators) mutator.join();
  const json events = read(path);
  check_nesting(sorted_by_begin(events));
  std::uint64_t found = 0;
  for (const json& event : events)
    found += event["name"] == "waiting" || event["name"] == "stopped";
  CHECK(found + lost == written);
  CHECK(stream->statistics().events_lost == lost);
}

TEST_CASE("a file that cannot be written is an error that says so") {
  const Folder folder;
  const auto refusal = [](const std::string& path) {
    const auto refused = EventStream::create(1, {false, path});
    REQUIRE(!refused);
    return refused.error().message();
  };
  const std::string nowhere = folder.file("no/such/trace.json");
  CHECK(refusal(nowhere) ==
        "opening the trace file failed: system error (ENOENT: No such file or directory): "
        "WEIR_TRACE=" +
            nowhere + "; name a file that can be written in WEIR_TRACE, or unset it");
  CHECK(refusal(folder.file("")).find("EISDIR") != std::string::npos);
  CHECK(refusal("/dev/full").find("ENOSPC") != std::string::npos);
  const std::string pipe = folder.file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(refusal(pipe).find("ENXIO") != std::string::npos);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  CHECK(refusal(pipe).find("ESPIPE") != std::string::npos);
  ::close(reader);
}

TEST_CASE("a process does not write into another's trace") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  const auto stream = stream_into(path);
  run_cycle(*stream);
  const std::size_t before = read(path).size();
  const auto child = weir::test::in_child([&](auto say) {
    run_cycle(*stream);  // the parent's: nothing comes of it
    const auto refused = EventStream::create(1, {false, path});
    if (refused) return 1;
    say(refused.error().message());
    // Its own by %p.
    const auto own = EventStream::create(1, {false, folder.file("trace-%p.json")});
    if (!own) return 2;
    run_cycle(**own);
    std::ifstream file(folder.file("trace-" + std::to_string(::getpid()) + ".json"));
    return json::parse(file).size() > 5 ? 0 : 3;
  });
  CHECK(child.exit_code == 0);
  CHECK(child.text.find("is being written by another process; put %p into its name") !=
        std::string::npos);
  CHECK(read(path).size() == before);
  run_cycle(*stream);
  check_nesting(read(path));
}

TEST_CASE("an old file is begun anew") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  std::ofstream(path) << std::string(100'000, 'x');
  const auto stream = stream_into(path);
  CHECK(read(path).size() == 1);
}

TEST_CASE("a disk that fills up leaves a whole trace, and a sentence") {
  const Folder folder;
  const std::string path = folder.file("trace.json");
  const auto child = weir::test::in_child([&](auto say) {
    std::signal(SIGXFSZ, SIG_IGN);
    const auto stream = stream_into(path);
    const rlimit little{20'000, 20'000};
    if (::setrlimit(RLIMIT_FSIZE, &little) != 0) return 1;
    const int before = ::dup(STDERR_FILENO);
    int ends[2];
    if (::pipe(ends) != 0) return 2;
    ::dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 100; ++i) run_cycle(*stream);
    ::dup2(before, STDERR_FILENO);
    ::close(ends[1]);
    char text[2000];
    const ssize_t n = ::read(ends[0], text, sizeof text);
    say(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(n, 0))));
    return 0;
  });
  CHECK(child.exit_code == 0);
  CHECK(child.text ==
        "weir: the trace ends here, since writing it failed (EFBIG: File too large): " + path +
            "\n");
  const json events = read(path);
  CHECK(events.size() > 10);
  CHECK(std::filesystem::file_size(path) <= 20'000);
}
