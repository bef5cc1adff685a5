#include "runtime/collector/old_memory.hpp"

#include <utility>

namespace weir::collector {

void OldMemory::tell(heap::Space& space, observe::CycleResult& result) {
  const heap::RememberedSet* remembered = space.remembered_set();
  if (remembered == nullptr) return;
  const barrier::Barrier& barrier = remembered->barrier();
  const heap::RememberedCounters now = remembered->counters();
  const std::size_t page = barrier.traits().granularity;
  result.pages_armed = barrier.armed_units();
  result.pages_dirty = now.dirty_bytes / page;
  result.pages_hot = now.hot_bytes / page;
  result.went_hot = now.went_hot - std::exchange(went_hot_, now.went_hot);
  result.rearmed = now.rearmed - std::exchange(rearmed_, now.rearmed);
  const std::size_t traps = barrier.counters().traps;
  result.traps = traps - std::exchange(traps_, traps);
}

}  // namespace weir::collector
