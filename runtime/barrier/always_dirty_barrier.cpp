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

AlwaysDirtyBarrier::AlwaysDirtyBarrier() : Barrier(BarrierKind::always_dirty, always_dirty_traits()) {}

Expected<> AlwaysDirtyBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  tracked.armed.set(span);
  return {};
}

Expected<> AlwaysDirtyBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  UnitBits::for_words(span, [&](std::size_t index, std::uint64_t mask) {
    tracked.taken.set_in(index, tracked.armed.load(index) & mask);
    if (then == Then::leave_unarmed) tracked.armed.clear_in(index, mask);
  });
  return {};
}

}  // namespace weir::barrier
