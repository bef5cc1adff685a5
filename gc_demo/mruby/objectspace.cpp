// ObjectSpace: a look at all objects. They are listed first, since who looks at one may allocate.
#include <mruby.h>
#include <mruby/error.h>

#include "gc_demo/mruby/port.hpp"

using namespace weir::mruby;

namespace {

// Objects of no image, in memory of the heap, which the stack keeps.
struct Listing {
  RBasic** objects;
  std::size_t count;
  std::size_t room;
};

// Memory that mruby asked its allocator for is of no kind of ours.
bool list(const weir_object* object, void* data) {
  auto& listing = *static_cast<Listing*>(data);
  if (object->kind == WEIR_KIND_CONSERVATIVE || object->kind == WEIR_KIND_LEAF ||
      object->kind == WEIR_KIND_SLOTS)
    return true;
  if (listing.count < listing.room)
    listing.objects[listing.count] = static_cast<RBasic*>(object->start);
  ++listing.count;
  return true;
}

Listing live_objects(mrb_state* mrb) {
  weir_mutator* mutator = port_of(mrb).mutator;
  Listing listing{};
  do {
    listing.room = listing.count + listing.count / 8 + 1;
    listing.objects = static_cast<RBasic**>(
        weir_allocate(mutator, WEIR_KIND_SLOTS, listing.room * sizeof(RBasic*)));
    if (listing.objects == nullptr) raise_no_memory(mrb);
    listing.count = 0;
    if (weir_heap_walk(mutator, list, &listing) != WEIR_OK)
      mrb_raise(mrb, E_RUNTIME_ERROR, weir_error_message());
  } while (listing.count > listing.room);
  return listing;
}

}  // namespace

extern "C" {

void mrb_objspace_each_objects(mrb_state* mrb, mrb_each_object_callback* visit, void* data) {
  const Listing listing = live_objects(mrb);
  for (std::size_t i = 0; i < listing.count; ++i)
    if (visit(mrb, listing.objects[i], data) == MRB_EACH_OBJ_BREAK) return;
}

size_t mrb_objspace_page_slot_size() {
  return sizeof(RClass);  // the largest; plain objects and numbers take less
}

mrb_bool mrb_object_dead_p(mrb_state* mrb, RBasic* object) {
  weir_object found;
  return weir_object_at(port_of(mrb).mutator, object, &found) != WEIR_OK || found.start != object ||
         object->tt == MRB_TT_FREE;
}

}  // extern "C"
