#include "runtime/collector/weak_cells.hpp"

namespace weir::collector {

WeakCells::~WeakCells() {
  for (weir_weak* weak : all_) os::off_heap_free(weak, sizeof *weak);
}

Expected<weir_weak*> WeakCells::create(Address object) {
  const std::lock_guard guard(lock_);
  auto* weak = static_cast<weir_weak*>(os::off_heap_allocate(sizeof(weir_weak)));
  if (weak == nullptr || !all_.push_back(weak)) {
    os::off_heap_free(weak, sizeof *weak);
    return fail(ErrorCode::out_of_memory, "creating a weak reference");
  }
  *weak = {object, static_cast<std::uint32_t>(all_.size() - 1)};
  return weak;
}

void WeakCells::destroy(weir_weak* weak) {
  const std::lock_guard guard(lock_);
  all_[weak->index] = all_.back();
  all_[weak->index]->index = weak->index;
  all_.pop_back();
  os::off_heap_free(weak, sizeof *weak);
}

void WeakCells::clear_dead(const heap::Space& space) {
  const std::lock_guard guard(lock_);
  for (weir_weak* weak : all_)
    if (weak->object != Address() && !space.is_marked(weak->object)) weak->object = Address();
}

}  // namespace weir::collector
