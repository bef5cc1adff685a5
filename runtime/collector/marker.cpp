#include "runtime/collector/marker.hpp"

#include <algorithm>

#include "runtime/collector/ephemerons.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

Marker::Marker(const heap::Space& space, const WordFormat& format, MarkPool& pool, Scope scope,
               const Ephemerons* ephemerons)
    : Tracer(space, format),
      epoch_(space.epoch()),
      scope_(scope),
      stack_(pool),
      ephemerons_(ephemerons) {}

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
  if (!space_.mark(start)) return;
  const heap::Found object = space_.describe(start);
  marked_bytes_ += object.range.size;
  ++marked_objects_;
  if (ephemerons_ != nullptr)
    ephemerons_->for_each_value_of(start, [this](Address value) { add(value); });
  if (object.kind.trace_class() == heap::TraceClass::leaf) return;
  if (object.kind.trace_class() == heap::TraceClass::callback &&
      space_.kinds().of(object.kind).reaches_off_heap && !reachers_.push_back(start))
    os::last_words("no memory for the list of objects that reach outside the heap");
  trace(object, 0);
}

bool Marker::scan_old(Range range) {
  const std::size_t before = edges_to_young_;
  const heap::Region& region = space_.region();
  scanned_bytes_ += range.size;
  for (Address at = range.begin; at < range.end();) {
    const heap::BlockIndex index = region.block_of(at);
    const Range block = region.range_of(index);
    const Range part = Range::between(at, std::min(block.end(), range.end()));
    if (region.block(index).state() == heap::BlockState::large)
      scan_large(part);
    else if (region.block(index).has_small_objects() && !region.block(index).leaf)
      scan_small(part, block);
    at = part.end();
  }
  return edges_to_young_ != before;
}

void Marker::scan_small(Range part, Range block) {
  const heap::Metadata& metadata = space_.metadata();
  Address next = metadata.start_at_or_before(part.begin, block.begin);
  if (next == Address()) next = metadata.next_start(part.begin, block.end());
  while (next < part.end()) {
    const Address start = next;
    next = metadata.next_start(start, block.end());
    const heap::MetadataByte byte = metadata.load(start);
    if (!byte.is_object() || byte.mark() != epoch_) continue;
    const std::uint8_t number =
        next - start > heap::kGranuleBytes ? metadata.kind_number(start) : std::uint8_t{0};
    scan_part({Range::between(start, next), heap::KindTag::of(byte.trace_class(), number)}, part);
  }
}

void Marker::scan_large(Range part) {
  const std::size_t unit = space_.region().unit_bytes();
  for (Address at = part.begin.align_down(unit); at < part.end();) {
    const heap::LargeObject* object = space_.large_object(at);
    if (object == nullptr) {
      at = at + unit;
      continue;
    }
    if (!object->kind.is_leaf() && space_.is_marked(object->range.begin))
      scan_part({object->range, object->kind}, part);
    at = object->range.begin + object->units * unit;
  }
}

void Marker::scan_part(const heap::Found& object, Range part) {
  const Range traced = object.range.intersection(part);
  if (traced.empty()) return;
  trace_part(object, traced.begin - object.range.begin, traced.end() - object.range.begin);
}

void Marker::trace(const heap::Found& object, std::size_t from) {
  const std::size_t to = std::min(object.range.size, from + kPart);
  if (to < object.range.size) stack_.push_part(object.range.begin.value(), to);
  trace_part(object, from, to);
}

}  // namespace weir::collector
