#include "runtime/barrier/always_dirty_barrier.hpp"

#include "runtime/os/page_size.hpp"

namespace weir::barrier {
namespace {

BarrierTraits always_dirty_traits() {
  BarrierTraits traits;
  traits.granularity = os::page_size();
  traits.sees_kernel_writes = true;
  return traits;
}

}  // namespace

AlwaysDirtyBarrier::AlwaysDirtyBarrier()
    : Barrier(BarrierKind::always_dirty, always_dirty_traits()) {}

Expected<> AlwaysDirtyBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  tracked.armed.set(span);
  return {};
}

Expected<> AlwaysDirtyBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  (void)take_all_armed(tracked, span, then);
  return {};
}

}  // namespace weir::barrier
