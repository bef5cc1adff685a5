// Where objects of less than a block fit between large ones: the blocks that have free units, by
// the longest run of them. The tightest fit is taken, of equal ones the lowest, so that long runs
// last. Under the heap's lock.
#pragma once

#include <array>
#include <optional>

#include "runtime/heap/block_set.hpp"
#include "runtime/heap/units.hpp"

namespace weir::heap {

// Of one block, a bit for each of its units.
using UnitMask = std::uint16_t;

class UnitHoles {
 public:
  // `units`: of a block.
  static Expected<UnitHoles> create(std::size_t block_count, unsigned units);

  // Which of the block's units are in use. One without any holds no large object, and is not
  // offered.
  void changed(BlockIndex index, UnitMask before, UnitMask after);

  struct Hole {
    BlockIndex block;
    unsigned unit;
  };
  // `units` in a row, the first of them a multiple of `alignment` (a power of two). `used_units`
  // tells what changed() was told last of a block.
  template <class UsedUnits>
  std::optional<Hole> find(std::size_t units, std::size_t alignment, UsedUnits&& used_units) {
    // In a run as long as this it fits, wherever that begins.
    for (std::size_t run = units + alignment - 1; run < units_; ++run) {
      const std::size_t block = with_run_[run].first(block_count_);
      if (block == block_count_) continue;
      const BlockIndex index(block);
      return Hole{index, place(used_units(index), units, alignment)};
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kMostUnits = 16;
  unsigned longest_run(UnitMask used) const;  // 0: full, or empty
  unsigned place(UnitMask used, std::size_t units, std::size_t alignment) const;
  unsigned all() const { return (1u << units_) - 1; }

  std::size_t block_count_ = 0;
  unsigned units_ = 0;
  std::array<BlockSet, kMostUnits> with_run_;
};

}  // namespace weir::heap
