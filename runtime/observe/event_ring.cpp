#include "runtime/observe/event_ring.hpp"

namespace weir::observe {

Expected<EventRing> EventRing::create(std::size_t capacity) {
  auto events = os::OffHeapArray<Event>::create(capacity);
  if (!events) return Unexpected(events.error());
  return EventRing(std::move(*events));
}

}  // namespace weir::observe
