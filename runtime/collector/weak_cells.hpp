// Weak references: cells outside the heap that are cleared when their object is found dead. Under
// its own lock.
#pragma once

#include <weir/weir.h>

#include <mutex>
#include <weir/error.hpp>

#include "runtime/heap/space.hpp"
#include "runtime/os/off_heap_vector.hpp"

struct weir_weak {
  weir::Address object;  // null: cleared
  std::uint32_t index;   // in the table
};

namespace weir::collector {

class WeakCells {
 public:
  ~WeakCells();

  Expected<weir_weak*> create(Address object);
  void destroy(weir_weak* weak);
  std::size_t size() {
    const std::lock_guard guard(lock_);
    return all_.size();
  }

  template <class Visit>
  void for_each(Visit&& visit) {  // visit(object) for each that is not cleared
    const std::lock_guard guard(lock_);
    for (const weir_weak* weak : all_)
      if (weak->object != Address()) visit(weak->object);
  }
  void clear_dead(const heap::Space& space);

 private:
  std::mutex lock_;
  os::OffHeapVector<weir_weak*> all_;
};

}  // namespace weir::collector
