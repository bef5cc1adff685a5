#include "runtime/collector/weak_cells.hpp"

namespace weir::collector {

WeakCells::~WeakCells() {
  for (weir_weak* weak : cells_.in(Scope::all)) os::off_heap_free(weak, sizeof *weak);
}

Expected<weir_weak*> WeakCells::create(Address object) {
  const std::lock_guard guard(lock_);
  auto* weak = static_cast<weir_weak*>(os::off_heap_allocate(sizeof(weir_weak)));
  if (weak == nullptr || !cells_.add(weak)) {
    os::off_heap_free(weak, sizeof *weak);
    return fail(ErrorCode::out_of_memory, "creating a weak reference");
  }
  weak->object = object;
  return weak;
}

void WeakCells::destroy(weir_weak* weak) {
  const std::lock_guard guard(lock_);
  cells_.remove(weak);
  os::off_heap_free(weak, sizeof *weak);
}

void WeakCells::clear_dead(const heap::Space& space, Scope scope) {
  const std::lock_guard guard(lock_);
  for (weir_weak* weak : cells_.in(scope))
    if (weak->object != Address() && !space.lives(weak->object)) weak->object = Address();
  cells_.become_old();
}

}  // namespace weir::collector
