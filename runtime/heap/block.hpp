// What the heap knows of one block, and the states that it goes through.
//
//   unused -> free -> owned -> filled -> unswept -> swept
//
//   free -> large                  pages for large objects
//   unswept, swept -> owned        a mutator picks it for its holes
//   owned -> swept                 and finds too few
//   unswept, swept, large -> free  nothing lives in it
//   swept -> unswept               the next collection
//
// A collection turns owned, filled and swept blocks into unswept ones; whoever needs one next finds
// its free runs. A block that a mutator stopped by a signal allocates into stays owned throughout.
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>

#include "runtime/heap/units.hpp"

namespace weir::heap {

enum class BlockState : std::uint8_t {
  unused,   // never used
  free,     // no objects
  owned,    // a mutator allocates into it
  filled,   // allocated into since the last collection, by nobody now
  unswept,  // marked; its dead are still to be found
  swept,    // live objects, and free runs that have their starts
  large,    // page runs of large objects
};

constexpr bool is_legal(BlockState from, BlockState to) {
  switch (to) {
    case BlockState::unused:
      return false;
    case BlockState::free:
      return from == BlockState::unused || from == BlockState::unswept ||
             from == BlockState::swept || from == BlockState::large;
    case BlockState::owned:
      return from == BlockState::free || from == BlockState::unswept || from == BlockState::swept;
    case BlockState::filled:
      return from == BlockState::owned;
    case BlockState::unswept:
      return from == BlockState::filled || from == BlockState::swept;
    case BlockState::swept:
      return from == BlockState::unswept || from == BlockState::owned;
    case BlockState::large:
      return from == BlockState::free;
  }
  return false;
}

// Changed by its owner, or under the heap's lock. The state is read by others, too.
class Block {
 public:
  BlockState state() const { return state_.load(std::memory_order_acquire); }
  void become(BlockState to) {
    assert(is_legal(state(), to));
    state_.store(to, std::memory_order_release);
  }
  bool has_small_objects() const {
    const BlockState now = state();
    return now != BlockState::unused && now != BlockState::free && now != BlockState::large;
  }

  bool leaf = false;              // only leaf objects: nothing here is ever scanned
  bool pristine = false;          // memory and metadata are zeros, as the kernel gave them
  std::uint16_t large_units = 0;  // large: which units belong to an object
  // swept, in granules: the longest free run, and all of them.
  std::uint16_t longest_run = 0;
  std::uint16_t free_granules = 0;

 private:
  std::atomic<BlockState> state_{BlockState::unused};
};

}  // namespace weir::heap
