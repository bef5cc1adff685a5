// What the heap knows of one block, and the states that it goes through.
//
//   unused -> free -> owned -> filled -> unswept -> swept
//
//   free -> large                          pages for large objects
//   unswept, swept -> owned                a mutator picks it for its holes
//   owned -> swept                         and finds too few
//   filled, unswept, swept, large -> free  nothing lives in it
//   swept -> unswept                       the next full collection
//
// A collection turns filled blocks with survivors into unswept ones; whoever needs one next finds
// its free runs. A block that a mutator stopped by a signal allocates into stays owned throughout.
//
// Beside its state a block has an age: young while it may hold objects allocated since the last
// collection, or soon will, else old. An old block with references in it is armed: the barrier
// watches its pages.
//
//   young, unarmed --the next collection--> old, armed --picked for its holes, or ahead of that-->
//   young again, with old objects in it, all of which the next collection looks at; and so on until
//   nobody picked it in a cycle
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
      return from == BlockState::unused || from == BlockState::filled ||
             from == BlockState::unswept || from == BlockState::swept || from == BlockState::large;
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
class alignas(16) Block {  // so that an index is shifted, not multiplied
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

  // Whether an address inside may lead to an object that lives and is not marked: not where nothing
  // is, nor where what is not marked is dead.
  bool may_hold_unmarked() const {
    const BlockState now = state();
    return now == BlockState::owned || now == BlockState::filled || now == BlockState::swept ||
           now == BlockState::large;
  }

  // Something in it was marked by the collection that is marking. Any marker.
  void note_survivor() {
    if (!has_survivors()) survivors_.store(true, std::memory_order_relaxed);
  }
  bool has_survivors() const { return survivors_.load(std::memory_order_relaxed); }
  void forget_survivors() { survivors_.store(false, std::memory_order_relaxed); }

  bool leaf = false;      // only leaf objects: nothing here is ever scanned
  bool pristine = false;  // memory and metadata are zeros, as the kernel gave them
  bool young = false;     // in the space's list of young blocks
  bool has_old = false;   // young, and objects from before are in it, which the barrier missed
  // Writes to its pages are recorded, but for hot ones; of large ones, to some of its pages. A free
  // block may still be armed: whoever takes it disarms it [ages-apart].
  bool armed = false;
  std::uint16_t large_units = 0;  // large: which units belong to an object
  // swept, in granules: the longest free run, and all those that objects are put into.
  std::uint16_t longest_run = 0;
  std::uint16_t usable_granules = 0;

 private:
  std::atomic<BlockState> state_{BlockState::unused};
  std::atomic<bool> survivors_{false};
};

}  // namespace weir::heap
