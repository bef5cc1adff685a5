#include "runtime/observe/cycle_log.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace weir::observe;

namespace {

constexpr std::uint64_t kTenthOfMiB = (std::uint64_t{1} << 20) / 10;

std::string line_of(const CycleSummary& cycle, std::uint64_t events_lost = 0) {
  std::array<char, kLongestCycleLine> memory;
  weir::os::TextBuffer line(memory);
  format_cycle(line, cycle, events_lost);
  return std::string(line.view());
}

CycleSummary sample() {
  CycleSummary cycle;
  cycle.heap = 1;
  cycle.number = 17;
  cycle.reason = Reason::growth;
  cycle.pause_ns = 41'243'000;
  cycle.since_last_ns = 1'204'400'000;
  const auto set = [&](Phase phase, std::uint64_t us) {
    cycle.phase_ns[static_cast<std::size_t>(phase)] = us * 1000;
  };
  set(Phase::stop, 35);
  set(Phase::roots, 120);
  set(Phase::mark, 39'800);
  set(Phase::weak, 210);
  set(Phase::sweep, 1030);
  set(Phase::resume, 48);
  cycle.result.heap_before_bytes = 5120 * kTenthOfMiB + 200;
  cycle.result.heap_after_bytes = 2034 * kTenthOfMiB + 1000;
  cycle.result.live_bytes = 2012 * kTenthOfMiB + 1000;
  cycle.result.markers = 2;
  cycle.result.marker_cpu_ns = 78'140'000;
  return cycle;
}

// One of a heap with old memory and a barrier.
CycleSummary minor_sample() {
  CycleSummary cycle = sample();
  cycle.number = 18;
  cycle.kind = CycleKind::minor;
  cycle.reason = Reason::nursery;
  cycle.pause_ns = 1'843'000;
  cycle.phase_ns = {};
  cycle.phase_ns[static_cast<std::size_t>(Phase::mark)] = 1'843'000;
  cycle.result.pages_dirty = 312;
  cycle.result.pages_hot = 31;
  cycle.result.pages_armed = 41'200;
  cycle.result.scanned_bytes = 21 * kTenthOfMiB;
  cycle.result.nursery_bytes = 320 * kTenthOfMiB;
  cycle.result.next_kind = CycleKind::minor;
  cycle.result.next_reason = Reason::nursery;
  return cycle;
}

}  // namespace

TEST_CASE("the line of a cycle") {
  CHECK(line_of(sample()) ==
        "weir gc   17 full (growth):           512.0 ->   203.4 MiB, live   201.2, "
        "pause   41.24 ms: stop    35 roots   120 mark 39,800 weak   210 sweep 1,030 resume    48 "
        "us, 2 markers 78.14 ms cpu, 1,204 ms since the last\n");
}

TEST_CASE("the line of a minor cycle says what was written, and which kind is next") {
  CycleSummary cycle = minor_sample();
  CHECK(
      line_of(cycle) ==
      "weir gc   18 minor (nursery):         512.0 ->   203.4 MiB, live   201.2, "
      "pause    1.84 ms: mark 1,843 us, pages: dirty    312 hot    31 armed  41,200, scanned     "
      "2.1 MiB, nursery    32.0 MiB, next minor (nursery), 2 markers 78.14 ms cpu, 1,204 ms since "
      "the last\n");
  cycle.result.went_hot = 3;
  cycle.result.rearmed = 1;
  cycle.result.traps = 312;
  cycle.result.next_kind = CycleKind::full;
  cycle.result.next_reason = Reason::cheaper;
  const std::string line = line_of(cycle);
  CHECK(line.find(" 41,200 (hot +3 -1), 312 traps, scanned ") != std::string::npos);
  CHECK(line.find(" MiB, next full (cheaper), 2 markers") != std::string::npos);
}

TEST_CASE("columns stand below one another, whatever the reason") {
  CycleSummary other = sample();
  other.number = 1800;
  other.reason = Reason::out_of_memory;
  other.pause_ns = 9'000;
  other.result.heap_before_bytes = 1 << 20;
  const std::string line = line_of(other);
  CHECK(line.starts_with("weir gc 1800 full (out of memory):      1.0 ->"));
  CHECK(line.find(" MiB") == line_of(sample()).find(" MiB"));
  CHECK(line.find(" ms: stop") == line_of(sample()).find(" ms: stop"));
  CHECK(line_of(minor_sample()).find(" ms: mark") == line.find(" ms: stop"));
}

TEST_CASE("a second heap, one marker, the first cycle, lost events") {
  CycleSummary cycle = sample();
  cycle.heap = 2;
  cycle.number = 1;
  cycle.result.markers = 1;
  const std::string line = line_of(cycle, 1234);
  CHECK(line.starts_with("weir heap 2 gc    1 full (growth): "));
  CHECK(line.ends_with(" us, 1 marker 78.14 ms cpu, 1,234 events lost\n"));
}

TEST_CASE("the longest line fits") {
  CycleSummary cycle;
  cycle.heap = cycle.number = cycle.pause_ns = cycle.since_last_ns = UINT64_MAX;
  cycle.kind = CycleKind::minor;
  cycle.reason = Reason::out_of_memory;
  cycle.phase_ns.fill(UINT64_MAX);
  constexpr std::uint64_t kMost = UINT64_MAX;
  cycle.result = {kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  kMost,
                  CycleKind::minor,
                  Reason::out_of_memory};
  CHECK(line_of(cycle, UINT64_MAX).ends_with(" events lost\n"));
}
