// Looking into the heap: objects, walks, paths, blocks.
#include <bit>

#include "runtime/capi/boundary.hpp"
#include "runtime/collector/reachable.hpp"

using namespace weir;
using namespace weir::capi;

namespace {

weir_object to_c(const heap::Found& found) {
  return {found.range.begin.as(), found.range.size, found.kind.value()};
}

// From the root to the object; false: there is none, or no memory to keep it.
bool collect_path(const collector::Reachable& reachable, const heap::Space& space, Address object,
                  os::OffHeapVector<weir_path_step>& steps) {
  for (const auto* edge = reachable.find(object); edge != nullptr;
       edge = reachable.find(object = edge->parent)) {
    if (!steps.push_back({edge->root, edge->slot.as(), to_c(space.describe(object))})) return false;
    if (edge->root != nullptr) return true;
  }
  return false;
}

weir_block_state to_c(heap::BlockState state) {
  switch (state) {
    case heap::BlockState::unused:
    case heap::BlockState::free:
      return WEIR_BLOCK_FREE;
    case heap::BlockState::owned:
      return WEIR_BLOCK_OWNED;
    case heap::BlockState::filled:
      return WEIR_BLOCK_FILLED;
    case heap::BlockState::unswept:
      return WEIR_BLOCK_UNSWEPT;
    case heap::BlockState::swept:
      return WEIR_BLOCK_SWEPT;
    case heap::BlockState::large:
      return WEIR_BLOCK_LARGE;
  }
  return WEIR_BLOCK_FREE;
}

// Of a block that nobody allocates into.
std::size_t bytes_in_objects(const heap::Space& space, Range block, bool marked_only) {
  const heap::Metadata& metadata = space.metadata();
  std::size_t bytes = 0;
  for (Address at = block.begin, next; at < block.end(); at = next) {
    next = metadata.next_start(at, block.end());
    if (metadata.load(at).is_object() && (!marked_only || space.is_marked(at))) bytes += next - at;
  }
  return bytes;
}

// Under the lock of the space.
std::size_t used_bytes(const heap::Space& space, heap::BlockIndex index) {
  const heap::Region& region = space.region();
  const heap::Block& block = region.block(index);
  switch (const auto state = block.state()) {
    case heap::BlockState::unused:
    case heap::BlockState::free:
      return 0;
    case heap::BlockState::owned:
      return heap::kBlockBytes;
    case heap::BlockState::filled:
    case heap::BlockState::unswept:
    case heap::BlockState::swept:
      return bytes_in_objects(space, region.range_of(index), state == heap::BlockState::unswept);
    case heap::BlockState::large:
      return static_cast<unsigned>(std::popcount(block.large_units)) * region.unit_bytes();
  }
  return 0;
}

}  // namespace

weir_status weir_object_at(weir_mutator* mutator, const void* address, weir_object* object) {
  if (object == nullptr) return invalid("looking up an object", "`object` is NULL");
  collector::Mutator& looking = running(mutator);
  outside_of_callbacks();
  const auto found = looking.heap().find(looking, Address(address));
  if (!found)
    return failed(fail(ErrorCode::not_registered, "looking up an object",
                       "no object is at this address", Range::of(address, 1)));
  *object = to_c(*found);
  return WEIR_OK;
}

weir_status weir_heap_walk(weir_mutator* mutator, weir_walk_visit visit, void* data) {
  if (visit == nullptr) return invalid("walking the heap", "`visit` is NULL");
  collector::Mutator& walking = running(mutator);
  const auto walk = [&] {
    const collector::TracingScope scope;
    bool goes_on = true;
    walking.heap().space().for_each_object([&](const heap::Found& found) {
      if (!goes_on) return;
      const weir_object object = to_c(found);
      goes_on = visit(&object, data);
    });
  };
  const os::FunctionRef<void()> look(walk);
  return status_of(walking.heap().look_around(walking, look));
}

weir_status weir_path_to(weir_mutator* mutator, const void* object, weir_path_visit visit,
                         void* data) {
  if (visit == nullptr) return invalid("looking for a path", "`visit` is NULL");
  // On this frame the address itself would be the shortest path.
  std::uintptr_t complement = ~Address(object).value();
  asm volatile("" : "+r"(complement));
  collector::Mutator& looking = running(mutator);
  os::OffHeapVector<weir_path_step> steps;
  bool found = false;
  const auto search = [&] {
    const auto wanted = looking.heap().space().find(Address(~complement));
    if (!wanted) return;
    collector::Reachable reachable(looking.heap());
    found = reachable.walk(wanted->range.begin) &&
            collect_path(reachable, looking.heap().space(), wanted->range.begin, steps);
  };
  const os::FunctionRef<void()> look(search);
  if (auto done = looking.heap().look_around(looking, look); !done) return failed(done.error());
  if (!found)
    return failed(fail(ErrorCode::not_registered, "looking for a path",
                       "nothing keeps this object alive", Range{Address(~complement), 1}));
  for (std::size_t i = steps.size(); i-- > 0;) visit(&steps[i], data);
  return WEIR_OK;
}

void weir_heap_blocks(weir_mutator* mutator, weir_block_visit visit, void* data) {
  const Entry entry(mutator);  // no collection runs meanwhile
  heap::Space& space = entry.heap().space();
  const std::lock_guard guard(space.lock());
  const collector::TracingScope scope;  // for `visit`
  const heap::Region& region = space.region();
  for (std::uint32_t i = 0; i < region.committed(); ++i) {
    const heap::BlockIndex index{i};
    const heap::Block& block = region.block(index);
    if (block.state() == heap::BlockState::unused) continue;
    const bool in_use = block.state() != heap::BlockState::free;
    const weir_block shown{.start = region.range_of(index).begin.as(),
                           .state = to_c(block.state()),
                           .leaf = block.leaf,
                           .young = in_use && block.young,
                           .armed = in_use && block.armed,
                           .used_bytes = static_cast<std::uint32_t>(used_bytes(space, index))};
    visit(&shown, data);
  }
}
