#include "runtime/collector/marker.hpp"

#include <algorithm>
#include <bit>

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

// Eight granules at a time, since in a block that is allocated into again few objects are old.
void Marker::scan_small(Range part, Range block) {
  constexpr std::size_t kGroupBytes = heap::Metadata::kGroup * heap::kGranuleBytes;
  const heap::Metadata& metadata = space_.metadata();
  const auto scan = [&](Address start) {
    const Range range = Range::between(start, metadata.next_start(start, block.end()));
    const std::uint8_t number =
        range.size > heap::kGranuleBytes ? metadata.kind_number(start) : std::uint8_t{0};
    const auto trace = metadata.load(start).trace_class();
    scan_part({range, heap::KindTag::of(trace, number)}, part);
  };
  const Address first = metadata.start_at_or_before(part.begin, block.begin);
  if (first != Address() && first < part.begin && metadata.load(first).is_object() &&
      space_.is_marked(first))
    scan(first);
  Address group = part.begin.align_down(kGroupBytes);
  std::uint64_t mask = ~std::uint64_t{0} << ((part.begin - group) / heap::kGranuleBytes * 8);
  for (; group < part.end(); group = group + kGroupBytes, mask = ~std::uint64_t{0}) {
    std::uint64_t marked = heap::Metadata::marked_starts(metadata.load_group(group), epoch_) & mask;
    for (; marked != 0; marked &= marked - 1)
      scan(group + static_cast<unsigned>(std::countr_zero(marked)) / 8 * heap::kGranuleBytes);
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
