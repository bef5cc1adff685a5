#include "runtime/barrier/soft_dirty_barrier.hpp"

#include "runtime/barrier/soft_dirty_coordinator.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {

Expected<std::unique_ptr<Barrier>> SoftDirtyBarrier::open() {
  BarrierTraits traits;
  traits.granularity = os::page_size();
  traits.needs_stopped_world = true;
  return std::unique_ptr<Barrier>(new SoftDirtyBarrier(traits));
}

SoftDirtyBarrier::SoftDirtyBarrier(const BarrierTraits& traits)
    : Barrier(BarrierKind::soft_dirty, traits) {}

Expected<> SoftDirtyBarrier::begin(TrackedRange& tracked) {
  if (!os::is_mapped(tracked.range))
    return fail(ErrorCode::not_registered, "attaching memory to a barrier",
                "a part of it is not mapped", tracked.range);
  return SoftDirtyCoordinator::the().add(tracked);
}

void SoftDirtyBarrier::end(TrackedRange& tracked) {
  SoftDirtyCoordinator::the().remove(tracked);
}

Expected<> SoftDirtyBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  count_system_call();
  tracked.armed.set(span);  // the harvest looks where something is armed
  if (auto done = SoftDirtyCoordinator::the().harvest(); !done) {
    tracked.armed.clear(span);
    return done;
  }
  tracked.dirty.clear(span);
  return {};
}

Expected<> SoftDirtyBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  count_system_call();
  if (auto done = SoftDirtyCoordinator::the().harvest(); !done) return done;
  UnitBits::for_words(span, [&](std::size_t index, std::uint64_t mask) {
    const std::uint64_t written = tracked.dirty.clear_in(index, mask) & mask;
    tracked.taken.set_in(index, written & tracked.armed.load(index));
    if (then == Then::leave_unarmed) tracked.armed.clear_in(index, written);
  });
  return {};
}

Expected<> SoftDirtyBarrier::recover() {
  return SoftDirtyCoordinator::the().reopen();
}

}  // namespace weir::barrier
