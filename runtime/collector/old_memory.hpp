// What a cycle tells of old memory: what was written of it, and what the arming policy did. The
// counters behind it only grow; this knows where they stood at the last cycle.
#pragma once

#include <cstddef>

#include "runtime/heap/space.hpp"
#include "runtime/observe/cycle.hpp"

namespace weir::collector {

class OldMemory {
 public:
  // At the end of a cycle. Nothing without generations.
  void tell(heap::Space& space, observe::CycleResult& result);

 private:
  std::size_t went_hot_ = 0;
  std::size_t rearmed_ = 0;
  std::size_t traps_ = 0;
};

}  // namespace weir::collector
