// A thread's access to one heap: what the inline allocation uses (the C API's structure, which this
// extends), where its spans come from, and what of it keeps objects alive.
#pragma once

#include <weir/weir.h>

#include "runtime/heap/span_allocator.hpp"
#include "runtime/observe/event_writer.hpp"
#include "runtime/threads/mutator_thread.hpp"

namespace weir::collector {

class Heap;
class RootVisitor;

class Mutator : public weir_mutator {
 public:
  Mutator(Heap& heap, bool one_at_a_time);

  static Mutator& of(weir_mutator* mutator) { return *static_cast<Mutator*>(mutator); }

  Heap& heap() const { return heap_; }
  threads::MutatorThread& thread() { return thread_; }
  bool is_attached() const { return thread_.state() != threads::MutatorState::detached; }

  // Small objects: up to heap::kSmallMax with their alignment. A null address: the span has no
  // room.
  Address allocate_in_span(std::size_t bytes, std::size_t alignment, heap::KindTag kind) {
    return allocators_[kind.is_leaf()].allocate_in_run(bytes, alignment, kind);
  }
  tl::expected<Address, heap::Refusal> allocate(std::size_t bytes, std::size_t alignment,
                                                heap::KindTag kind, bool whatever_the_budget);
  // True if the object was the last one allocated in a span: its memory will be the next one's.
  bool take_back(Address object);

  // -- World stopped --
  // Blocks go back, but for those of a mutator that may stand inside the inline allocation.
  void revoke_spans();
  void scan_roots(RootVisitor& visitor);
  // The part of its blocks that the mutator may still be writing objects into stays as it is.
  void sweep_held();
  std::size_t take_allocated();

  // -- Its thread --
  void mark_ends();        // so that its objects have their true extent
  void give_back_spans();  // at the end
  bool owns(Address address) const;

  // In the child of a fork, under the space's lock: its thread does not exist.
  void abandon();

  unsigned no_collect = 0;  // weir_no_collect_begin, nested
  unsigned finalizing = 0;  // finalizers that run on it
  bool is_asking = false;   // inside the out-of-memory handler
  std::uint32_t until_stress = 0;
  weir_roots_callback roots_callback = nullptr;
  void* roots_data = nullptr;
  std::unique_ptr<observe::EventWriter> events;

 private:
  static constexpr std::size_t kAllocators = 4;

  Heap& heap_;
  threads::MutatorThread thread_;
  weir_span overflow_[2] = {};
  // By leaf or not; the second two for objects that the current run of the first has no room for.
  heap::SpanAllocator allocators_[kAllocators];
  std::optional<heap::SpanAllocator::Held> held_[kAllocators];
};

}  // namespace weir::collector
