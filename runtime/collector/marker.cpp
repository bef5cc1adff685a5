#include "runtime/collector/marker.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/collector/ephemerons.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

Marker::Marker(const heap::Space& space, const WordFormat& format, MarkPool& pool, Scope scope,
               Counting counting, const Ephemerons* ephemerons)
    : Tracer(space, format),
      epoch_(space.epoch()),
      scope_(scope),
      counting_(counting),
      stack_(pool),
      ephemerons_(ephemerons) {}

void Marker::run(unsigned markers) {
  do drain();
  while (stack_.refill(markers));
}

// A large one in parts, which markers share.
void Marker::trace(const heap::Found& object) {
  if (object.range.size <= kPart) return trace_part(object, 0, object.range.size);
  std::size_t next = 0;
  space_.for_each_populated(object.range, [&](Range run) {
    for (next = std::max(next, (run.begin - object.range.begin) / kPart * kPart);
         object.range.begin + next < run.end(); next += kPart)
      stack_.push_part(object.range.begin, next);
  });
}

void Marker::trace_from(Address start, std::size_t offset) {
  const heap::Found object = space_.describe(start);
  trace_part(object, offset, std::min(object.range.size, offset + kPart));
}

// The start of the object that the address lies inside, or null.
Address Marker::start_of(Address address) const {
  const auto found = space_.find(address);
  return found ? found->range.begin : Address();
}

// What the loops that marking lives on need again and again, to be kept in registers: marks are
// stored as bytes, after which a compiler loads everything else again. What is rare goes out of
// line, with the marker's stack as it is.
class Marker::Loop {
 public:
  explicit Loop(Marker& marker)
      : marker_(marker),
        metadata_(marker.space_.metadata()),
        blocks_(marker.space_.region().block_table()),
        kinds_(marker.space_.kinds()),
        format_(marker.format_),
        committed_(marker.committed_),
        all_(marker.scope_ == Scope::all),
        stack_(marker.stack_) {}
  ~Loop() {
    stack_.store(marker_.stack_);
    marker_.edges_to_young_ += edges_to_young_;
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  const heap::Metadata& metadata() const { return metadata_; }
  const heap::BlockTable& blocks() const { return blocks_; }
  MarkStack::Cursor& stack() { return stack_; }

  // Around what is done out of line.
  [[gnu::always_inline]] void leave() { stack_.store(marker_.stack_); }
  [[gnu::always_inline]] void enter() { stack_.load(marker_.stack_); }

  [[gnu::always_inline]] void follow(Address slot) {
    std::uintptr_t word;
    std::memcpy(&word, slot.as(), sizeof word);
    const Address target = format_.decode(word);
    if (!committed_.contains(target)) return;
    if (!all_ && !marker_.may_be_young(blocks_.of(target), target)) return;
    push(target);
  }

  [[gnu::always_inline]] void follow_word(Address at) {
    std::uintptr_t word;
    std::memcpy(&word, at.as(), sizeof word);
    const Address target(word & format_.conservative_mask);
    if (!committed_.contains(target)) return;
    const heap::Block& block = blocks_.of(target);
    if (!block.may_hold_unmarked()) return;
    if (!all_ && !marker_.may_be_young(block, target)) return;
    push(target);
  }

  // An object in a block of small ones. False: it is of a kind that is traced out of line.
  [[gnu::always_inline]] bool trace_small(Address start, heap::TraceClass how, std::size_t size) {
    const std::size_t words = size / kWordBytes;
    if (how == heap::TraceClass::bitmap && words <= heap::Kind::kFirstSlots) {
      std::uint64_t slots = kinds_.by_number(metadata_.kind_number(start)).first_slots &
                            (~std::uint64_t{0} >> (heap::Kind::kFirstSlots - words));
      for (; slots != 0; slots &= slots - 1)
        follow(start + static_cast<unsigned>(std::countr_zero(slots)) * kWordBytes);
      return true;
    }
    if (how == heap::TraceClass::conservative) {
      for (std::size_t i = 0; i < words; ++i) follow_word(start + i * kWordBytes);
      return true;
    }
    if (how == heap::TraceClass::callback) {
      const heap::Kind& kind = kinds_.by_number(metadata_.kind_number(start));
      if (kind.reaches_off_heap) return false;
      leave();
      marker_.trace_by_callback(kind, start, 0, size);
      enter();
      return true;
    }
    if (how != heap::TraceClass::slots) return how == heap::TraceClass::leaf;
    for (std::size_t i = 0; i < words; ++i) follow(start + i * kWordBytes);
    return true;
  }

 private:
  [[gnu::always_inline]] void push(Address target) {
    if (!all_) ++edges_to_young_;
    if (!stack_.has_room()) [[unlikely]] {
      leave();
      marker_.stack_.flush();
      enter();
    }
    stack_.push(target.align_down(heap::kGranuleBytes).value());
  }

  Marker& marker_;
  const heap::Metadata metadata_;
  const heap::BlockTable blocks_;
  const heap::Kinds& kinds_;
  const WordFormat format_;
  const Range committed_;
  const bool all_;
  std::size_t edges_to_young_ = 0;
  MarkStack::Cursor stack_;
};

void Marker::drain() {
  Loop loop(*this);
  const heap::Metadata metadata = loop.metadata();
  const unsigned epoch = epoch_;
  const bool is_exact = counting_ == Counting::exact;
  const bool has_ephemerons = ephemerons_ != nullptr;
  std::size_t bytes = 0;
  std::size_t objects = 0;

  Address queue[kAhead];
  std::size_t first = 0;
  std::size_t count = 0;
  for (;;) {
    while (count < kAhead && !loop.stack().is_empty()) {
      const std::uintptr_t word = loop.stack().pop();
      if (MarkWord::tag(word) != MarkWord::found) [[unlikely]] {
        const Address at = MarkWord::address(word);
        const std::size_t more = loop.stack().pop();
        loop.leave();
        if (MarkWord::tag(word) == MarkWord::part)
          trace_from(at, more);
        else
          scan({at, more});
        loop.enter();
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
    heap::Block& block = loop.blocks().of(start);
    const bool is_large = block.state() == heap::BlockState::large;
    // Before it is marked, since eight bytes are loaded, which would wait for the store of one.
    const std::size_t size =
        is_large ? space_.describe(start).range.size
                 : metadata.next_start(start, heap::BlockTable::end_of(start)) - start;
    if (!is_exact)
      metadata.mark(start, byte, epoch);
    else if (!metadata.mark_once(start, epoch))
      continue;
    block.note_survivor();
    bytes += size;
    ++objects;
    if (has_ephemerons) [[unlikely]] {
      loop.leave();
      ephemerons_->for_each_value_of(start, [this](Address value) { add(value); });
      loop.enter();
    }
    if (is_large || !loop.trace_small(start, byte.trace_class(), size)) [[unlikely]] {
      loop.leave();
      trace_other(space_.describe(start));
      loop.enter();
    }
    if (stack_.should_share()) [[unlikely]] {
      loop.leave();
      stack_.share();
      loop.enter();
    }
  }
  marked_bytes_ += bytes;
  marked_objects_ += objects;
}

void Marker::rescan(Address start) {
  trace(space_.describe(start));
}

void Marker::trace_other(const heap::Found& object) {
  if (object.kind.trace_class() == heap::TraceClass::callback &&
      space_.kinds().of(object.kind).reaches_off_heap && !reachers_.push_back(object.range.begin))
    os::last_words("no memory for the list of objects that reach outside the heap");
  trace(object);
}

bool Marker::scan_old(Range range) {
  const std::size_t before = edges_to_young_;
  scanned_bytes_ += range.size;
  scan(range);
  return edges_to_young_ != before;
}

void Marker::scan_old_later(Range range) {
  scanned_bytes_ += range.size;
  stack_.push_old_memory(range);
}

void Marker::scan(Range range) {
  const heap::Region& region = space_.region();
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
}

// Eight granules at a time, since in a block that is allocated into again few objects are old.
void Marker::scan_small(Range part, Range block) {
  constexpr std::size_t kGroupBytes = heap::Metadata::kGroup * heap::kGranuleBytes;
  const unsigned epoch = epoch_;
  Loop loop(*this);
  const heap::Metadata metadata = loop.metadata();
  const Address end = part.end();
  const Address first = metadata.start_at_or_before(part.begin, block.begin);
  if (first != Address() && first < part.begin && metadata.load(first).is_object() &&
      space_.is_marked(first)) {
    loop.leave();
    scan_part(space_.describe(first), part);
    loop.enter();
  }
  Address group = part.begin.align_down(kGroupBytes);
  std::uint64_t mask = ~std::uint64_t{0} << ((part.begin - group) / heap::kGranuleBytes * 8);
  for (; group < end; group = group + kGroupBytes, mask = ~std::uint64_t{0}) {
    std::uint64_t marked = heap::Metadata::marked_starts(metadata.load_group(group), epoch) & mask;
    for (; marked != 0; marked &= marked - 1) {
      const Address start =
          group + static_cast<unsigned>(std::countr_zero(marked)) / 8 * heap::kGranuleBytes;
      const std::size_t size = metadata.next_start(start, block.end()) - start;
      if (start + size <= end && loop.trace_small(start, metadata.load(start).trace_class(), size))
          [[likely]]
        continue;
      loop.leave();
      scan_part(space_.describe(start), part);
      loop.enter();
    }
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
