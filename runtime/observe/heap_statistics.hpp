// What a heap's cycles add up to. The heap's sizes at this moment are the heap's to tell.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/observe/cycle.hpp"
#include "runtime/observe/histogram.hpp"

namespace weir::observe {

struct HeapStatistics {
  std::uint64_t cycles = 0;
  std::uint64_t freed_bytes = 0;  // by all cycles; so are the next three
  std::uint64_t promoted_bytes = 0;
  std::uint64_t marker_cpu_ns = 0;
  std::uint64_t traps = 0;
  Distribution pauses;  // in nanoseconds; `sum` is the time spent in cycles
  std::array<Distribution, kCycleKinds> pauses_by_kind;
  CycleSummary last;              // `number` 0 before the first
  std::uint64_t events_lost = 0;  // they did not fit into a ring, so the trace lacks them

  const Distribution& pauses_of(CycleKind kind) const {
    return pauses_by_kind[static_cast<std::size_t>(kind)];
  }
};

}  // namespace weir::observe
