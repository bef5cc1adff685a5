#include "runtime/collector/marker.hpp"

#include <algorithm>

#include "runtime/collector/ephemerons.hpp"

namespace weir::collector {

Marker::Marker(const heap::Space& space, const WordFormat& format, MarkPool& pool,
               const Ephemerons* ephemerons)
    : Tracer(space, format), epoch_(space.epoch()), stack_(pool), ephemerons_(ephemerons) {}

void Marker::run(unsigned markers) {
  do drain();
  while (stack_.refill(markers));
}

void Marker::drain() {
  Address queue[kAhead];
  std::size_t first = 0;
  std::size_t count = 0;
  for (;;) {
    while (count < kAhead && !stack_.is_empty()) {
      const MarkItem item = stack_.pop();
      const Address address(item.address);
      if (item.offset != 0) {
        trace(space_.describe(address), item.offset);
        continue;
      }
      __builtin_prefetch(space_.metadata().at(address), 1);
      __builtin_prefetch(address.as());
      queue[(first + count++) % kAhead] = address;
    }
    if (count == 0) return;
    const Address next = queue[first];
    first = (first + 1) % kAhead;
    --count;
    visit(next);
    stack_.share();
  }
}

void Marker::visit(Address address) {
  Address start = address;
  if (!space_.metadata().load(start).is_object()) {
    const auto found = space_.find(address);  // an address inside an object
    if (!found) return;
    start = found->range.begin;
  }
  if (!space_.metadata().mark(start, epoch_)) return;
  const heap::Found object = space_.describe(start);
  marked_bytes_ += object.range.size;
  ++marked_objects_;
  if (ephemerons_ != nullptr)
    ephemerons_->for_each_value_of(start, [this](Address value) { add(value); });
  if (object.kind.trace_class() != heap::TraceClass::leaf) trace(object, 0);
}

void Marker::trace(const heap::Found& object, std::size_t from) {
  const std::size_t to = std::min(object.range.size, from + kPart);
  if (to < object.range.size) stack_.push_part(object.range.begin.value(), to);
  trace_part(object, from, to);
}

}  // namespace weir::collector
