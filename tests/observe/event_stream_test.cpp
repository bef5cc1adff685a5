#include "runtime/observe/event_stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string>
#include <thread>

#include "tests/observe/captured_stderr.hpp"
#include "tests/support/random.hpp"
#include "tests/support/setting.hpp"

using namespace weir;
using namespace weir::observe;
using weir::test::CapturedStderr;
using weir::test::Setting;

namespace {

std::unique_ptr<EventStream> quiet_stream() {
  return EventStream::create(2, {}).value();
}

void spend_ns(std::uint64_t ns) {
  const std::uint64_t end = monotonic_ns() + ns;
  while (monotonic_ns() < end) {
  }
}

}  // namespace

TEST_CASE("a cycle's phases add up to its pause") {
  const auto stream = quiet_stream();
  const std::uint64_t before = monotonic_ns();
  stream->begin_cycle(CycleKind::full, Reason::stress);
  spend_ns(1000);
  stream->phase(Phase::roots);
  stream->phase(Phase::mark);
  spend_ns(2000);
  stream->phase(Phase::weak);
  stream->phase(Phase::mark);  // again: ephemerons found more
  spend_ns(3000);
  stream->phase(Phase::resume);
  const CycleSummary& cycle = stream->end_cycle({100, 60, 50, 40, 10, 2, 7000});
  CHECK(cycle.heap == stream->heap_number());
  CHECK(cycle.number == 1);
  CHECK(cycle.reason == Reason::stress);
  CHECK(cycle.begin_ns >= before);
  CHECK(cycle.end_ns() <= monotonic_ns());
  CHECK(cycle.phase(Phase::stop) >= 1000);
  CHECK(cycle.phase(Phase::mark) >= 5000);
  CHECK(cycle.phase(Phase::verify) == 0);
  CHECK(std::accumulate(cycle.phase_ns.begin(), cycle.phase_ns.end(), std::uint64_t{0}) ==
        cycle.pause_ns);
  CHECK(cycle.result.live_bytes == 50);
}

TEST_CASE("statistics add up all cycles and keep the last") {
  const auto stream = quiet_stream();
  CHECK(stream->statistics().cycles == 0);
  CHECK(stream->statistics().last.number == 0);
  std::uint64_t pauses = 0;
  std::uint64_t longest = 0;
  std::uint64_t last_end = 0;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    stream->begin_cycle(CycleKind::full, Reason::requested);
    stream->phase(Phase::mark);
    if (i == 50) spend_ns(2'000'000);
    const CycleSummary cycle = stream->end_cycle({0, 0, i, 10 * i, i, 1, 5});
    stream->publish();
    pauses += cycle.pause_ns;
    longest = std::max(longest, cycle.pause_ns);
    CHECK(cycle.number == i);
    if (i > 1) CHECK(cycle.since_last_ns == cycle.begin_ns - last_end);
    last_end = cycle.end_ns();
  }
  const HeapStatistics statistics = stream->statistics();
  CHECK(statistics.cycles == 100);
  CHECK(statistics.freed_bytes == 50'500);
  CHECK(statistics.promoted_bytes == 5050);
  CHECK(statistics.marker_cpu_ns == 500);
  CHECK(statistics.pauses.count == 100);
  CHECK(statistics.pauses.sum == pauses);
  CHECK(statistics.pauses.max == longest);
  CHECK(statistics.last.result.live_bytes == 100);
  CHECK(statistics.events_lost == 0);
}

TEST_CASE("minor and full cycles are counted and timed apart") {
  const auto stream = quiet_stream();
  for (int i = 0; i < 50; ++i) {
    const bool full = i % 10 == 9;
    stream->begin_cycle(full ? CycleKind::full : CycleKind::minor,
                        full ? Reason::growth : Reason::nursery);
    if (full) spend_ns(1'000'000);
    stream->end_cycle({.pages_hot = 3, .traps = 7});
  }
  const HeapStatistics statistics = stream->statistics();
  const Distribution& minor = statistics.pauses_of(CycleKind::minor);
  const Distribution& full = statistics.pauses_of(CycleKind::full);
  CHECK(statistics.cycles == 50);
  CHECK(minor.count == 45);
  CHECK(full.count == 5);
  CHECK(minor.sum + full.sum == statistics.pauses.sum);
  CHECK(std::max(minor.max, full.max) == statistics.pauses.max);
  CHECK(full.p50 >= 980'000);  // to 1/64
  CHECK(minor.p50 < 980'000);
  CHECK(statistics.traps == 350);
  CHECK(statistics.last.kind == CycleKind::full);
  CHECK(statistics.last.result.pages_hot == 3);
}

TEST_CASE("without a trace writers write nothing, and nothing is lost") {
  const auto stream = quiet_stream();
  CHECK(!stream->tracing());
  const auto mutator = stream->add_mutator().value();
  for (EventWriter* writer : {&stream->collector(), &stream->marker(1), mutator.get()}) {
    CHECK(!writer->enabled());
    CHECK(writer->now() == 0);
    for (int i = 0; i < 1000; ++i) writer->instant(Instant::stack_full);
    CHECK(writer->lost() == 0);
  }
}

TEST_CASE("heaps have numbers of their own") {
  const auto one = quiet_stream();
  const auto other = quiet_stream();
  CHECK(one->heap_number() != other->heap_number());
}

TEST_CASE("statistics are whole while cycles go on") {
  const auto stream = quiet_stream();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> reads{0};
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!done) {
      const HeapStatistics statistics = stream->statistics();
      wrong += statistics.freed_bytes != 3 * statistics.cycles;
      wrong += statistics.pauses.count != statistics.cycles;
      wrong += statistics.last.number != statistics.cycles;
      wrong += statistics.cycles < last;
      last = statistics.cycles;
      ++reads;
    }
  });
  while (reads == 0) std::this_thread::yield();
  for (std::size_t i = 0; i < weir::test::scaled(20'000); ++i) {
    stream->begin_cycle(CycleKind::full, Reason::nursery);
    stream->phase(Phase::mark);
    stream->end_cycle({.freed_bytes = 3});
    stream->publish();
  }
  done = true;
  reader.join();
  CHECK(wrong == 0);
}

TEST_CASE("WEIR_LOG=gc writes a line for each cycle, after it") {
  const Setting log("WEIR_LOG", "gc");
  const Setting trace("WEIR_TRACE", "");
  const auto stream = EventStream::create(1, observe_options_from_environment().value()).value();
  const CapturedStderr captured;
  stream->begin_cycle(CycleKind::full, Reason::external);
  stream->end_cycle({});
  CHECK(captured.text() == "");
  stream->publish();
  CHECK(captured.text().find("full (external):") != std::string::npos);
  CHECK(std::ranges::count(captured.text(), '\n') == 1);
  stream->begin_cycle(CycleKind::full, Reason::external);
  stream->end_cycle({});
  stream->publish();
  CHECK(std::ranges::count(captured.text(), '\n') == 2);
}

TEST_CASE("the environment decides, and its mistakes are errors") {
  const Setting none("WEIR_LOG", "");
  const Setting no_trace("WEIR_TRACE", "");
  CHECK(!observe_options_from_environment().value().log_cycles);
  CHECK(observe_options_from_environment().value().trace_path.empty());
  const Setting trace("WEIR_TRACE", "some/where.json");
  CHECK(observe_options_from_environment().value().trace_path == "some/where.json");
  const Setting log("WEIR_LOG", "gcc");
  const auto refused = observe_options_from_environment();
  REQUIRE(!refused);
  CHECK(refused.error().message().find("WEIR_LOG=gcc is unknown; it may be gc") !=
        std::string::npos);
}
