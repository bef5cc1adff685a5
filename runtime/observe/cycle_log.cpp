#include "runtime/observe/cycle_log.hpp"

#include <unistd.h>

namespace weir::observe {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

std::uint64_t rounded(std::uint64_t value, std::uint64_t unit) {
  return value / unit + (value % unit >= (unit + 1) / 2 ? 1 : 0);
}

void add_mib(os::TextBuffer& line, std::uint64_t bytes) {
  const std::size_t start = line.size();
  line.add_fixed(bytes / kMiB * 10 + rounded(bytes % kMiB * 10, kMiB), 1).align_right(start, 7);
}

void add_count(os::TextBuffer& line, std::string_view name, std::uint64_t count,
               std::size_t width) {
  const std::size_t start = line.add(name).size();
  line.add_grouped(count).align_right(start, width);
}

// "full (out of memory)"
os::TextBuffer& add_choice(os::TextBuffer& line, CycleKind kind, Reason reason) {
  return line.add(name_of(kind)).add(" (").add(name_of(reason)).add(')');
}

// What was written of the old memory, and what the arming policy made of it. Nothing while there is
// no old memory, or no barrier.
void add_pages(os::TextBuffer& line, const CycleResult& result) {
  if ((result.pages_armed | result.pages_dirty | result.pages_hot | result.scanned_bytes) == 0)
    return;
  add_count(line, ", pages: dirty ", result.pages_dirty, 6);
  add_count(line, " hot ", result.pages_hot, 5);
  add_count(line, " armed ", result.pages_armed, 7);
  if ((result.went_hot | result.rearmed) != 0) {
    line.add(" (hot +").add_grouped(result.went_hot);
    line.add(" -").add_grouped(result.rearmed).add(')');
  }
  if (result.traps != 0) line.add(", ").add_grouped(result.traps).add(" traps");
  add_mib(line.add(", scanned "), result.scanned_bytes);
  line.add(" MiB");
}

// Nothing where all cycles are full and come for the same reason.
void add_next(os::TextBuffer& line, const CycleResult& result) {
  if (result.nursery_bytes == 0) return;
  add_mib(line.add(", nursery "), result.nursery_bytes);
  add_choice(line.add(" MiB, next "), result.next_kind, result.next_reason);
}

}  // namespace

// The columns of one line stand below those of the line before, for usual sizes.
void format_cycle(os::TextBuffer& line, const CycleSummary& cycle, std::uint64_t events_lost) {
  line.add("weir ");
  if (cycle.heap > 1) line.add("heap ").add_number(cycle.heap).add(' ');
  std::size_t start = line.add("gc ").size();
  line.add_number(cycle.number).align_right(start, 4).add(' ');

  start = line.size();
  constexpr std::size_t kLongestChoice = std::string_view("minor (out of memory)").size();
  add_choice(line, cycle.kind, cycle.reason).add(": ").align_left(start, kLongestChoice + 2);

  add_mib(line, cycle.result.heap_before_bytes);
  add_mib(line.add(" -> "), cycle.result.heap_after_bytes);
  add_mib(line.add(" MiB, live "), cycle.result.live_bytes);

  start = line.add(", pause ").size();
  line.add_fixed(rounded(cycle.pause_ns, 10'000), 2).align_right(start, 7).add(" ms:");
  for (std::size_t i = 0; i < kPhases; ++i) {
    if (cycle.phase_ns[i] == 0) continue;
    start = line.add(' ').add(kPhaseNames[i]).add(' ').size();
    line.add_grouped(rounded(cycle.phase_ns[i], 1000)).align_right(start, 5);
  }

  line.add(" us");
  add_pages(line, cycle.result);
  add_next(line, cycle.result);

  const std::uint64_t markers = cycle.result.markers;
  line.add(", ").add_number(markers).add(markers == 1 ? " marker " : " markers ");
  line.add_fixed(rounded(cycle.result.marker_cpu_ns, 10'000), 2).add(" ms cpu");
  if (cycle.number > 1)
    line.add(", ").add_grouped(rounded(cycle.since_last_ns, 1'000'000)).add(" ms since the last");
  if (events_lost > 0) line.add(", ").add_grouped(events_lost).add(" events lost");
  line.add('\n');
}

void log_cycle(const CycleSummary& cycle, std::uint64_t events_lost) {
  char memory[kLongestCycleLine];
  os::TextBuffer line(memory);
  format_cycle(line, cycle, events_lost);
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, memory, line.size());
}

}  // namespace weir::observe
