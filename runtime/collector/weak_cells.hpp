// Weak references: cells outside the heap that are cleared when their object is found dead. Under
// its own lock.
#pragma once

#include <weir/weir.h>

#include <mutex>
#include <weir/error.hpp>

#include "runtime/collector/aged_cells.hpp"
#include "runtime/heap/space.hpp"

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
    return cells_.size();
  }

  template <class Visit>
  void for_each(Visit&& visit) {  // visit(object) for each that is not cleared
    const std::lock_guard guard(lock_);
    for (const weir_weak* weak : cells_.in(Scope::all))
      if (weak->object != Address()) visit(weak->object);
  }
  // Once in each cycle, when everything that can be marked is; afterwards all cells are old.
  void clear_dead(const heap::Space& space, Scope scope);

  std::mutex& lock() { return lock_; }  // for fork(2)

 private:
  std::mutex lock_;
  AgedCells<weir_weak> cells_;
};

}  // namespace weir::collector
