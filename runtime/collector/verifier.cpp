#include "runtime/collector/verifier.hpp"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "runtime/collector/closure.hpp"
#include "runtime/collector/heap.hpp"
#include "runtime/collector/reachable.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {
namespace {

// Mutators may be stopped in the middle of malloc or stdio: nothing here uses either.
[[noreturn, gnu::format(printf, 1, 2)]] void give_up(const char* format, ...) {
  static char sentence[400];
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(sentence, sizeof sentence, format, values);
  va_end(values);
  os::last_words(sentence);
}

std::string_view kind_name(const heap::Space& space, heap::KindTag kind) {
  return space.kinds().of(kind).name;
}

// What is known of the memory that a slot lies in.
const char* page_state(heap::Space& space, Address slot) {
  if (space.remembered_set() == nullptr || !space.committed().contains(slot)) return "unwatched";
  const heap::Block& block = space.region().block(space.region().block_of(slot));
  if (!block.armed) return block.young ? "in a young block" : "unarmed";
  return space.remembered_set()->is_hot(slot) ? "hot" : "armed";
}

const char* barrier_name(const Heap& heap) {
  return heap.barrier() != nullptr ? name_of(heap.barrier()->kind()) : "none";
}

[[noreturn]] void give_up_on(Heap& heap, Address parent, Address slot, Address object) {
  heap::Space& space = heap.space();
  if (heap.images().find(parent) != nullptr)
    give_up("verify: an object was missed: %#" PRIxPTR ", referred to by %#" PRIxPTR
            " of an image, whose page was written and not reported (barrier %s)",
            object.value(), slot.value(), barrier_name(heap));
  const heap::Found from = space.describe(parent);
  const heap::Found to = space.describe(object);
  give_up("verify: an object was missed: %#" PRIxPTR " (%s, %zu bytes), referred to by %#" PRIxPTR
          " (%s, %zu bytes) in the slot at offset %zu; its page is %s, the barrier %s",
          object.value(), kind_name(space, to.kind).data(), to.range.size, parent.value(),
          kind_name(space, from.kind).data(), from.range.size,
          slot == Address() ? 0 : slot - parent, page_state(space, slot), barrier_name(heap));
}

void check_edge(Heap& heap, Address object, const Reachable::Edge& edge) {
  const heap::Space& space = heap.space();
  if (space.is_marked(object)) return;
  const heap::Found found = space.describe(object);
  if (edge.root != nullptr)
    give_up("verify: an object was missed: %#" PRIxPTR
            " (%s, %zu bytes), referred to by %s at %#" PRIxPTR,
            object.value(), kind_name(space, found.kind).data(), found.range.size, edge.root,
            edge.slot.value());
  give_up_on(heap, edge.parent, edge.slot, object);
}

void check_closure(Heap& heap) {
  const Closure::Missed missed = Closure(heap).find();
  if (missed.object != Address()) give_up_on(heap, missed.parent, missed.slot, missed.object);
}

void check_trace(Heap& heap, Scope scope, std::size_t marked) {
  Reachable reachable(heap);
  if (!reachable.walk()) {
    os::say("verify: no memory for the second trace of this collection");
    return;
  }
  if (const Reachable::Edge* edge = reachable.dangling())
    give_up("verify: the slot at %#" PRIxPTR " (in %s, %#" PRIxPTR ") refers to no object",
            edge->slot.value(), edge->root != nullptr ? edge->root : "an object",
            edge->parent.value());
  reachable.for_each(
      [&](Address object, const Reachable::Edge& edge) { check_edge(heap, object, edge); });
  if (scope == Scope::all && reachable.size() != marked)
    give_up("verify: %zu objects are marked, but %zu can be reached", marked, reachable.size());
}

void check_table(const heap::Space& space, const char* table, Address object) {
  if (!space.region().contains(object)) return;  // of an image
  if (!space.is_object(object) || !space.is_marked(object))
    give_up("verify: %s refers to %#" PRIxPTR ", which is no live object", table, object.value());
}

void check_blocks(const heap::Space& space) {
  space.for_each_object([&](const heap::Found& object) {
    if (space.kinds().find(object.kind) == nullptr)
      give_up("verify: the object at %#" PRIxPTR " (%zu bytes) has a kind that nobody defined: %#x",
              object.range.begin.value(), object.range.size, object.kind.value());
    const heap::Block& block = space.region().block(space.region().block_of(object.range.begin));
    if (block.has_small_objects() && block.leaf != object.kind.is_leaf())
      give_up("verify: the object at %#" PRIxPTR " (%s) is in a block for others",
              object.range.begin.value(), kind_name(space, object.kind).data());
  });
}

}  // namespace

void verify(Heap& heap, Scope scope, std::size_t marked) {
  const heap::Space& space = heap.space();
  check_trace(heap, scope, marked);
  if (scope == Scope::young) check_closure(heap);
  heap.weak_cells().for_each(
      [&](Address object) { check_table(space, "a weak reference", object); });
  heap.ephemerons().for_each([&](Address key, Address value) {
    check_table(space, "an ephemeron's key", key);
    if (value != Address()) check_table(space, "an ephemeron's value", value);
  });
  heap.finalizers().for_each_registered(
      [&](Address object) { check_table(space, "a finalizer", object); });
  check_blocks(space);
}

}  // namespace weir::collector
