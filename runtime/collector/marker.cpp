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
  alone_ = markers == 1;
  do drain();
  while (stack_.refill(markers));
}

inline void Marker::trace(const heap::Found& object, std::size_t from) {
  const std::size_t to = std::min(object.range.size, from + kPart);
  if (to < object.range.size) [[unlikely]]
    stack_.push_part(object.range.begin.value(), to);
  trace_part(object, from, to);
}

// The start of the object that the address lies inside, or null.
Address Marker::start_of(Address address) const {
  const auto found = space_.find(address);
  return found ? found->range.begin : Address();
}

// The loop that marking lives on. What it needs again and again is in locals: marks are stored as
// bytes, after which a compiler loads everything else again. What is rare goes out of line, with
// the stack as it is.
void Marker::drain() {
  const heap::Metadata metadata = space_.metadata();
  const heap::BlockTable blocks = space_.region().block_table();
  const heap::Kinds& kinds = space_.kinds();
  const WordFormat format = format_;
  const Range committed = committed_;
  const unsigned epoch = epoch_;
  const bool all = scope_ == Scope::all;
  const bool alone = alone_;
  const bool has_ephemerons = ephemerons_ != nullptr;
  std::size_t bytes = 0;
  std::size_t objects = 0;
  MarkStack::Cursor stack(stack_);

  const auto out_of_line = [&](auto&& work) {
    stack.store(stack_);
    work();
    stack.load(stack_);
  };
  const auto follow = [&](Address slot) __attribute__((always_inline)) {
    std::uintptr_t word;
    std::memcpy(&word, slot.as(), sizeof word);
    const Address target = format.decode(word);
    if (!committed.contains(target) || (!all && !blocks.of(target).young)) return;
    if (!stack.has_room()) [[unlikely]]
      out_of_line([&] { stack_.flush(); });
    stack.push(target.align_down(heap::kGranuleBytes).value());
  };

  Address queue[kAhead];
  std::size_t first = 0;
  std::size_t count = 0;
  for (;;) {
    while (count < kAhead && !stack.is_empty()) {
      const std::uintptr_t word = stack.pop();
      if (MarkItem::is_part(word)) [[unlikely]] {
        const std::size_t offset = stack.pop();
        out_of_line([&] { trace(space_.describe(MarkItem::object_of(word)), offset); });
        continue;
      }
      const Address address(word);
      __builtin_prefetch(metadata.at(address), 1);
      __builtin_prefetch(address.as());
      queue[(first + count++) % kAhead] = address;
    }
    if (count == 0) break;
    Address start = queue[first];
    first = (first + 1) % kAhead;
    --count;

    heap::MetadataByte byte = metadata.load(start);
    if (!byte.is_object()) [[unlikely]] {
      start = start_of(start);
      if (start == Address()) continue;
      byte = metadata.load(start);
    }
    if (byte.mark() == epoch) continue;
    heap::Block& block = blocks.of(start);
    const bool is_large = block.state() == heap::BlockState::large;
    // Before it is marked, since eight bytes are loaded, which would wait for the store of one.
    const std::size_t size =
        is_large ? space_.describe(start).range.size
                 : metadata.next_start(start, heap::BlockTable::end_of(start)) - start;
    if (!(alone ? metadata.mark_alone(start, epoch) : metadata.mark(start, epoch))) continue;
    block.note_survivor();
    bytes += size;
    ++objects;
    if (has_ephemerons) [[unlikely]]
      out_of_line([&] {
        ephemerons_->for_each_value_of(start, [this](Address value) { add(value); });
      });
    const heap::TraceClass trace_class = byte.trace_class();
    const std::size_t words = size / kWordBytes;
    if (trace_class == heap::TraceClass::leaf) continue;
    if (trace_class == heap::TraceClass::bitmap && words <= heap::Kind::kFirstSlots && !is_large) {
      std::uint64_t slots = kinds.by_number(metadata.kind_number(start)).first_slots &
                            (~std::uint64_t{0} >> (heap::Kind::kFirstSlots - words));
      for (; slots != 0; slots &= slots - 1)
        follow(start + static_cast<unsigned>(std::countr_zero(slots)) * kWordBytes);
    } else if (trace_class == heap::TraceClass::slots && size <= kPart) {
      for (std::size_t i = 0; i < words; ++i) follow(start + i * kWordBytes);
    } else {
      out_of_line([&] { trace_other(space_.describe(start)); });
    }
    if (!alone && stack_.should_share()) [[unlikely]]
      out_of_line([&] { stack_.share(); });
  }
  stack.store(stack_);
  marked_bytes_ += bytes;
  marked_objects_ += objects;
}

void Marker::rescan(Address start) {
  trace(space_.describe(start), 0);
}

void Marker::trace_other(const heap::Found& object) {
  if (object.kind.trace_class() == heap::TraceClass::callback &&
      space_.kinds().of(object.kind).reaches_off_heap && !reachers_.push_back(object.range.begin))
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

}  // namespace weir::collector
