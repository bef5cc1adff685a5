// Which blocks of a region are free, and which could hold more: whole blocks for mutators, runs of
// them for large objects, and the next block whose holes are worth a look. Under the heap's lock.
#pragma once

#include <optional>

#include "runtime/heap/block_set.hpp"
#include "runtime/heap/region.hpp"
#include "runtime/os/function_ref.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::heap {

class Blocks {
 public:
  static Expected<Blocks> create(Region& region);

  // `count` neighbouring free blocks, the first of them aligned to `alignment` blocks (a power of
  // two): those used before come first. They are marked as `state` and counted as in use.
  // Error out_of_memory: more than the limit, or than the system gives.
  Expected<BlockIndex> take(std::size_t count, BlockState state, std::size_t alignment = 1);
  void give_back(BlockIndex first, std::size_t count);
  bool has_free() const { return free_.size() != 0; }  // that was used before

  // The next block of this sort that is unswept, or swept with a run of at least `granules`. Two
  // who look do not disturb each other, since what one passes over may do for the other:
  //   new_holes  those that were added, then all in address order, each offered once
  //   any_hole   goes round, past each block once since the last was added
  std::optional<BlockIndex> next_with_new_holes(bool leaf, std::size_t granules);
  std::optional<BlockIndex> next_with_any_hole(bool leaf, std::size_t granules);
  // A cycle adds those whose holes it has found, in address order. They are offered before what is
  // left of earlier ones: what was allocated into is in the cache, and need not be armed.
  void begin_adding();
  void add_with_holes(BlockIndex index);
  void end_adding();
  void restart();  // all are offered again, in address order

  std::size_t in_use() const { return in_use_; }
  std::size_t frontier() const { return frontier_; }  // no block from here on was ever used
  std::size_t limit() const { return limit_; }
  void set_limit(std::size_t blocks) { limit_ = blocks; }

  // Gives the memory of free blocks back to the system, each run of them announced first; bytes.
  std::size_t trim(os::FunctionRef<void(Range)> leaving);

 private:
  std::optional<std::size_t> find_free(std::size_t count, std::size_t alignment) const;

  Region* region_ = nullptr;
  BlockSet free_;  // of those below the frontier
  std::size_t frontier_ = 0;
  std::size_t in_use_ = 0;
  std::size_t limit_ = 0;
  // Of next_with_holes, by `leaf`.
  struct Offers {
    os::OffHeapVector<BlockIndex> added;
    std::size_t first_added = 0;
    std::size_t left = 0;  // by earlier cycles, while one adds
    std::size_t cursor = 0;
    std::size_t round_cursor = 0;
    std::size_t round_left = 0;  // blocks to be looked at
  };
  bool has_hole(BlockIndex index, bool leaf, std::size_t granules) const;
  Offers offers_[2];
};

}  // namespace weir::heap
