// Mutators, allocation, stopping and stacks of the C API.
#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/capi/boundary.hpp"
#include "runtime/collector/settings.hpp"
#include "runtime/os/last_words.hpp"

using namespace weir;
using namespace weir::capi;

weir_status weir_mutator_attach(weir_heap* heap, const weir_mutator_config* config,
                                weir_mutator** mutator) {
  if (heap == nullptr || mutator == nullptr)
    return invalid("attaching a mutator", "`heap` or `mutator` is NULL");
  auto made = collector::Heap::of(heap).attach(
      config != nullptr ? *config : collector::default_mutator_config());
  if (!made) return failed(made.error());
  *mutator = *made;
  return WEIR_OK;
}

weir_status weir_mutator_detach(weir_mutator* mutator) {
  collector::Mutator& leaving = attached(mutator);
  return status_of(leaving.heap().detach(leaving));
}

weir_heap* weir_mutator_heap(weir_mutator* mutator) {
  return &attached(mutator).heap();
}

void weir_enter_blocking(weir_mutator* mutator) {
  attached(mutator).thread().enter_blocking();
}

void weir_leave_blocking(weir_mutator* mutator) {
  collector::Mutator& entering = attached(mutator);
  if (!entering.thread().is_blocking())
    os::last_words("weir_leave_blocking without weir_enter_blocking");
  entering.thread().leave_blocking();
}

void weir_no_collect_begin(weir_mutator* mutator) {
  ++attached(mutator).no_collect;
}

void weir_no_collect_end(weir_mutator* mutator) {
  collector::Mutator& ending = attached(mutator);
  if (ending.no_collect == 0) os::last_words("weir_no_collect_end without weir_no_collect_begin");
  --ending.no_collect;
}

void* weir_allocate_slow(weir_mutator* mutator, weir_kind kind, size_t size) {
  return weir_allocate_aligned(mutator, kind, size, WEIR_GRANULE);
}

void* weir_allocate_aligned(weir_mutator* mutator, weir_kind kind, size_t size, size_t alignment) {
  constexpr std::size_t kMostAlignment = std::size_t{2} << 20;
  collector::Mutator& allocating = running(mutator);
  WEIR_NOTE_ENTRY(allocating.thread());
  const heap::KindTag tag(kind);
  if (allocating.heap().space().kinds().find(tag) == nullptr)
    os::last_words("an allocation of a kind that was not defined for this heap");
  if (!std::has_single_bit(alignment) || alignment > kMostAlignment) {
    (void)invalid("allocating", "the alignment is no power of two up to 2 MiB");
    return nullptr;
  }
  if (size == 0 || size > heap::kObjectMax) {
    (void)invalid("allocating", "the size is not 1 to 2^46 bytes");
    return nullptr;
  }
  void* object = allocating.heap().allocate(allocating, tag, size,
                                            std::max<std::size_t>(alignment, WEIR_GRANULE));
  if (object == nullptr)
    (void)failed(fail(ErrorCode::out_of_memory, "allocating",
                      "it does not fit below the heap's maximum, or the system has no memory", {},
                      "weir_heap_set_limits raises the maximum"));
  return object;
}

void* weir_allocate_uncollectable(weir_mutator* mutator, weir_kind kind, size_t size) {
  void* object = weir_allocate_slow(mutator, kind, size);
  if (object == nullptr) return nullptr;
  const Entry entry(mutator);
  const auto held =
      entry.heap().roots().hold(Address(object), collector::Roots::Hold::uncollectable);
  if (held) return object;
  (void)failed(held.error());
  return nullptr;  // and garbage
}

weir_status weir_free(weir_mutator* mutator, void* object) {
  const Entry entry(mutator);
  if (entry.heap().roots().release(Address(object), collector::Roots::Hold::uncollectable))
    return WEIR_OK;
  return invalid("freeing an object", "it is not an uncollectable one");
}

weir_status weir_free_early(weir_mutator* mutator, void* object) {
  const Entry entry(mutator);
  if (entry.heap().free_early(*entry.operator->(), Address(object))) return WEIR_OK;
  return invalid("freeing an object", "no object starts at this address");
}

void* weir_reallocate(weir_mutator* mutator, void* object, size_t size) {
  weir_object old;
  if (weir_object_at(mutator, object, &old) != WEIR_OK) return nullptr;
  if (old.start != object) {
    (void)invalid("reallocating an object", "no object starts at this address");
    return nullptr;
  }
  if (size <= old.size && heap::round_to_granules(size) >= old.size / 2) return object;
  void* moved = weir_allocate(mutator, old.kind, size);
  if (moved == nullptr) return size <= old.size ? object : nullptr;
  std::memcpy(moved, object, std::min(size, old.size));
  (void)weir_free_early(mutator, object);
  return moved;
}

void weir_poll_slow(weir_mutator* mutator) {
  collector::Mutator& polling = attached(mutator);
  WEIR_NOTE_ENTRY(polling.thread());
  polling.heap().poll(polling);
}

weir_status weir_collect(weir_mutator* mutator) {
  collector::Mutator& collecting = running(mutator);
  WEIR_NOTE_ENTRY(collecting.thread());
  return status_of(collecting.heap().collect(collecting, collector::Scope::all));
}

weir_status weir_collect_minor(weir_mutator* mutator) {
  collector::Mutator& collecting = running(mutator);
  WEIR_NOTE_ENTRY(collecting.thread());
  return status_of(collecting.heap().collect(collecting, collector::Scope::young));
}

weir_status weir_stack_register(weir_mutator* mutator, void* low, size_t bytes,
                                weir_stack** stack) {
  if (low == nullptr || stack == nullptr)
    return invalid("registering a stack", "`low` or `stack` is NULL");
  auto registered = attached(mutator).thread().register_stack(Range::of(low, bytes));
  if (!registered) return failed(registered.error());
  *stack = reinterpret_cast<weir_stack*>(*registered);
  return WEIR_OK;
}

weir_status weir_stack_unregister(weir_mutator* mutator, weir_stack* stack) {
  return status_of(
      attached(mutator).thread().unregister_stack(reinterpret_cast<threads::Stack*>(stack)));
}

void weir_stack_switch(weir_mutator* mutator, weir_stack* to, const void* registers, size_t bytes) {
  attached(mutator).thread().switch_stack(reinterpret_cast<threads::Stack*>(to), registers, bytes);
}
