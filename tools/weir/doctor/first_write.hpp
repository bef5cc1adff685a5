// What the first write to an armed page costs with each barrier of this machine, in half a second
// or so. bench_barrier measures the same for longer, in many shapes.
#pragma once

#include <optional>
#include <vector>

#include "runtime/barrier/barrier.hpp"

namespace weir::doctor {

struct FirstWrite {
  double cpu_ns = 0;   // per page written, of all threads
  double wall_ns = 0;  // per page written
};

// One result for each of the barriers, in their order. The
// barriers take turns, on the same warm memory, and what counts is the median of the rounds. Writes
// are made by the calling thread.
std::vector<Expected<FirstWrite>> measure_first_writes(
    const std::vector<barrier::Barrier*>& barriers);

}  // namespace weir::doctor
