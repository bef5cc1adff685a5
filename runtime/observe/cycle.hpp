// What there is to say about one collection cycle: its phases, why it came, and what it found. To
// add a phase or a reason, add the enumerator and its name; nothing else lists them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::observe {

// The parts of a pause, in the order in which they are shown. A cycle may skip some, or come back
// to one: its times then add up. docs/observe.md explains each to users.
enum class Phase : std::uint8_t {
  stop,        // from the stop request until the last mutator stands
  prepare,     // revoking spans, a new mark epoch, whatever is needed before marking
  dirty,       // old memory that was written since the last cycle
  roots,       // registered roots, stacks, registers, static data
  mark,        // tracing, by all markers
  weak,        // ephemerons to their fixpoint, weak cells
  finalizers,  // finding what is due, and marking what it keeps alive
  sweep,       // blocks that are free again, tables, limits
  verify,      // the second, independent trace (WEIR_VERIFY)
  resume,      // until the last mutator was told to go on
};
inline constexpr std::array<std::string_view, 10> kPhaseNames = {
    "stop", "prepare", "dirty", "roots", "mark", "weak", "finalizers", "sweep", "verify", "resume"};
inline constexpr std::size_t kPhases = kPhaseNames.size();
static_assert(static_cast<std::size_t>(Phase::resume) + 1 == kPhases);

enum class Reason : std::uint8_t {
  nursery,        // as much was allocated as was to be until the next cycle
  growth,         // so much became old since the last full cycle that the next is one
  cheaper,        // a full cycle is expected to free a byte for less than a minor one
  requested,      // weir_collect
  out_of_memory,  // an allocation did not fit
  stress,         // WEIR_STRESS
  external,       // memory outside the heap that objects keep alive (weir_heap_external)
};
inline constexpr std::array<std::string_view, 7> kReasonNames = {
    "nursery", "growth", "cheaper", "requested", "out of memory", "stress", "external"};
static_assert(static_cast<std::size_t>(Reason::external) + 1 == kReasonNames.size());

enum class CycleKind : std::uint8_t {
  minor,  // traces from roots, young memory, and what was written of the old
  full,   // traces everything
};
inline constexpr std::array<std::string_view, 2> kCycleKindNames = {"minor", "full"};
inline constexpr std::size_t kCycleKinds = kCycleKindNames.size();
static_assert(static_cast<std::size_t>(CycleKind::full) + 1 == kCycleKinds);

constexpr std::string_view name_of(Phase phase) {
  return kPhaseNames[static_cast<std::size_t>(phase)];
}
constexpr std::string_view name_of(Reason reason) {
  return kReasonNames[static_cast<std::size_t>(reason)];
}
constexpr std::string_view name_of(CycleKind kind) {
  return kCycleKindNames[static_cast<std::size_t>(kind)];
}

// What only the collector knows, told at the end of a cycle.
struct CycleResult {
  std::uint64_t heap_before_bytes = 0;  // in blocks in use, at the stop
  std::uint64_t heap_after_bytes = 0;   // the same at the end
  std::uint64_t live_bytes = 0;  // found by this cycle; a minor one takes what is old for alive
  std::uint64_t freed_bytes = 0;
  std::uint64_t promoted_bytes = 0;  // became old in this cycle
  std::uint64_t markers = 0;         // threads that marked, the collecting one included
  std::uint64_t marker_cpu_ns = 0;   // CPU time of all of them, while they marked

  // Old memory and its barrier. A page is the barrier's unit: a card with `cards`.
  std::uint64_t young_blocks = 0;   // allocated into since the last cycle, or soon to be
  std::uint64_t pages_armed = 0;    // now, at the end
  std::uint64_t pages_dirty = 0;    // taken in this cycle
  std::uint64_t pages_hot = 0;      // now: left unarmed, and scanned in every minor cycle
  std::uint64_t traps = 0;          // since the last cycle; 0 where the kernel resolves them alone
  std::uint64_t scanned_bytes = 0;  // of dirty, hot and recycled memory
  std::uint64_t went_hot = 0;       // pages, by the arming policy, in this cycle; so is the next
  std::uint64_t rearmed = 0;        // that were hot before

  // The next cycle, as things are.
  std::uint64_t nursery_bytes = 0;  // may be allocated until then
  CycleKind next_kind = CycleKind::full;
  Reason next_reason = Reason::nursery;
};

// All of a cycle.
struct CycleSummary {
  std::uint64_t heap = 0;    // number of the heap in this process, from 1
  std::uint64_t number = 0;  // of the cycle in this heap, from 1
  CycleKind kind = CycleKind::full;
  Reason reason = Reason::nursery;
  std::uint64_t begin_ns = 0;       // the stop request, by monotonic_ns
  std::uint64_t pause_ns = 0;       // from there to the last resume: the sum of the phases
  std::uint64_t since_last_ns = 0;  // from the end of the one before (the heap's creation) to begin
  std::array<std::uint64_t, kPhases> phase_ns{};
  CycleResult result;

  std::uint64_t end_ns() const { return begin_ns + pause_ns; }
  std::uint64_t phase(Phase which) const { return phase_ns[static_cast<std::size_t>(which)]; }
};

}  // namespace weir::observe
