// Bump allocation of one mutator into the free runs of blocks that it owns. The bump pointer and
// the limit are in a weir_span, where the inline allocation of weir.h uses them without a call;
// this is what happens when that does not fit.
//
//   block:  | live | free run .......................... | live | free run | live |
//                    ^begin   ^bump  ^limit (zeroed)     ^end
//
// A run's metadata is cleared when it is begun, its memory is zeroed a piece at a time ahead of the
// bump pointer, so that it is in the cache when it is used. Memory that is as the system gave it is
// asked for a piece at a time, where it has no huge pages: a fault for each page costs half as much
// again.
//
// Called by the mutator's thread inside the runtime, or, retire() and hold(), by the collecting
// thread while the world is stopped.
#pragma once

#include <weir/weir.h>

#include <optional>

#include "runtime/heap/space.hpp"

namespace weir::heap {

class SpanAllocator {
 public:
  // `one_at_a_time`: the limit stays at the bump pointer, so that every allocation comes here.
  SpanAllocator(Space& space, weir_span& span, bool leaf, bool one_at_a_time)
      : space_(&space), span_(&span), leaf_(leaf), one_at_a_time_(one_at_a_time) {}

  // In the current run; a null address if it has no room. What nearly all calls are, and without a
  // tl::expected: a copy of one just written is a load that waits for the zeros written before it
  // to be out of the store buffer, which was a third of the time that allocation took.
  Address allocate_in_run(std::size_t bytes, std::size_t alignment, KindTag kind) {
    return has_room(bytes, alignment) ? place(bump().align_up(alignment), bytes, kind) : Address();
  }
  // `bytes` is whole granules up to kSmallMax, and so is bytes + alignment. Refused: as before.
  tl::expected<Address, Refusal> allocate(std::size_t bytes, std::size_t alignment, KindTag kind,
                                          bool whatever_the_budget);
  // Undoes the allocation of the last object in the run, if this is it: answers whether.
  bool take_back(Address object);
  // Whether it would succeed without another run.
  bool has_room(std::size_t bytes, std::size_t alignment) const;

  // The free start behind the last object: metadata is true from here on, until the next
  // allocation.
  void mark_end();
  // Gives the block back. Not while the mutator may stand inside the inline allocation.
  void retire();
  // The mutator may stand inside the inline allocation: what it may be about to finish is kept.
  struct Held {
    BlockIndex block;
    Range keep;    // begins with a start; up to the end of the run
    Address last;  // the last object in the run, whose allocation may be under way; or null
  };
  std::optional<Held> hold();
  // The mutator does not exist any more, wherever it stood. If that was inside the inline
  // allocation, what it was allocating becomes a part of the object before.
  void abandon();

  std::optional<BlockIndex> block() const { return block_; }
  // Since the last call; up to the last retire(), mark_end() or hold().
  std::size_t take_allocated() { return std::exchange(allocated_, 0); }

 private:
  Address bump() const { return Address(span_->bump); }
  void set_span(Address bump);
  void begin_run(Range run);
  void end_run();
  void count();
  tl::expected<void, Refusal> next_run(std::size_t bytes, bool whatever_the_budget);
  Address place(Address start, std::size_t bytes, KindTag kind);
  void zero_up_to(Address end);

  Space* space_;
  weir_span* span_;
  bool leaf_;
  bool one_at_a_time_;
  std::optional<BlockIndex> block_;
  Range run_;                 // empty: none
  Address zeroed_;            // up to here
  bool is_pristine_ = false;  // the run's memory behind that is zeros, too
  Address counted_;
  std::size_t allocated_ = 0;
};

}  // namespace weir::heap
