#include "runtime/collector/mutator.hpp"

#include <algorithm>
#include <utility>

#include "runtime/collector/heap.hpp"
#include "runtime/collector/root_visitor.hpp"

namespace weir::collector {
namespace {

using heap::Refusal;
using heap::SpanAllocator;

}  // namespace

Mutator::Mutator(Heap& heap, bool one_at_a_time)
    : weir_mutator{},
      heap_(heap),
      thread_(poll),
      allocators_{{heap.space(), spans[0], false, one_at_a_time},
                  {heap.space(), spans[1], true, one_at_a_time},
                  {heap.space(), overflow_[0], false, false},
                  {heap.space(), overflow_[1], true, false}} {
  metadata = heap.space().metadata().biased();
  cards = heap.cards();
}

tl::expected<Address, heap::Refusal> Mutator::allocate(std::size_t bytes, std::size_t alignment,
                                                       heap::KindTag kind,
                                                       bool whatever_the_budget) {
  SpanAllocator* span = &allocators_[kind.is_leaf()];
  SpanAllocator* other = &allocators_[2 + kind.is_leaf()];
  // A larger object that does not fit where the span is goes to a block apart, so that the rest of
  // the run is not lost for small ones.
  if (bytes > heap::kMedium && span->block() && !span->has_room(bytes, alignment))
    std::swap(span, other);
  auto made = span->allocate(bytes, alignment, kind, whatever_the_budget);
  if (!made && made.error() == Refusal::out_of_memory)
    made = other->allocate(bytes, alignment, kind, whatever_the_budget);
  return made;
}

bool Mutator::take_back(Address object) {
  return std::ranges::any_of(
      allocators_, [object](SpanAllocator& allocator) { return allocator.take_back(object); });
}

void Mutator::revoke_spans() {
  for (std::size_t i = 0; i < kAllocators; ++i) {
    if (thread_.stopped_by_signal())
      held_[i] = allocators_[i].hold();
    else
      allocators_[i].retire();
  }
}

void Mutator::scan_roots(RootVisitor& visitor) {
  for (const weir_frame* frame = frames; frame != nullptr; frame = frame->previous)
    visitor.root_slots("a frame", Address(frame->slots), frame->count);
  if (roots_callback != nullptr)
    visitor.root_callback("a mutator's roots callback",
                          [this](weir_visitor* slots) { roots_callback(slots, roots_data); });
  thread_.for_each_conservative_range(
      [&visitor](Range range) { visitor.root_words("a thread's stack or registers", range); });
  for (const auto& held : held_)
    if (held && held->last != Address()) visitor.root_object("an allocation under way", held->last);
}

void Mutator::sweep_held() {
  for (auto& held : held_) {
    if (held) heap_.space().sweep(held->block, held->keep);
    held.reset();
  }
}

std::size_t Mutator::take_allocated() {
  std::size_t bytes = 0;
  for (SpanAllocator& allocator : allocators_) bytes += allocator.take_allocated();
  return bytes;
}

void Mutator::mark_ends() {
  for (SpanAllocator& allocator : allocators_) allocator.mark_end();
}

bool Mutator::owns(Address address) const {
  const heap::BlockIndex index = heap_.space().region().block_of(address);
  return std::ranges::any_of(
      allocators_, [index](const SpanAllocator& allocator) { return allocator.block() == index; });
}

void Mutator::abandon() {
  for (SpanAllocator& allocator : allocators_) allocator.abandon();
  poll = 0;
  events.reset();
}

void Mutator::give_back_spans() {
  const std::lock_guard guard(heap_.space().lock());
  for (SpanAllocator& allocator : allocators_) allocator.retire();
}

}  // namespace weir::collector
