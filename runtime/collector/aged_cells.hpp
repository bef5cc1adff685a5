// The cells of a table, those from before the last cycle in front, so that a minor cycle walks only
// the others. A cell knows its place (`index`), and leaves in constant time: the last one of its
// age takes its place. In off-heap memory; does not own the cells. One thread at a time.
//
//   | old ............ | young ...... |
//   0                  old_count      size
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/collector/scope.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

template <class Cell>
class AgedCells {
 public:
  // Sets its index. False: out of memory, and nothing changed.
  [[nodiscard]] bool add(Cell* cell) {
    cell->index = static_cast<std::uint32_t>(cells_.size());
    return cells_.push_back(cell);
  }
  void remove(const Cell* cell) {
    std::uint32_t hole = cell->index;
    if (hole < old_count_) {
      --old_count_;
      put(hole, cells_[old_count_]);
      hole = old_count_;
    }
    Cell* last = cells_.back();
    cells_.pop_back();
    if (hole < cells_.size()) put(hole, last);
  }
  void become_old() { old_count_ = static_cast<std::uint32_t>(cells_.size()); }

  std::size_t size(Scope scope = Scope::all) const { return cells_.size() - first(scope); }
  Cell& operator[](std::size_t index) const { return *cells_[index]; }
  std::span<Cell* const> in(Scope scope) const {
    return {cells_.begin() + first(scope), cells_.end()};
  }

 private:
  std::size_t first(Scope scope) const { return scope == Scope::young ? old_count_ : 0; }
  void put(std::uint32_t index, Cell* cell) {
    cells_[index] = cell;
    cell->index = index;
  }

  os::OffHeapVector<Cell*> cells_;
  std::uint32_t old_count_ = 0;
};

}  // namespace weir::collector
