#include "runtime/heap/unit_holes.hpp"

#include <cassert>

namespace weir::heap {

Expected<UnitHoles> UnitHoles::create(std::size_t block_count, unsigned units) {
  UnitHoles holes;
  holes.block_count_ = block_count;
  holes.units_ = units;
  for (unsigned run = 1; run < units; ++run) {
    auto set = BlockSet::create(block_count);
    if (!set) return Unexpected(set.error());
    holes.with_run_[run] = std::move(*set);
  }
  return holes;
}

void UnitHoles::changed(BlockIndex index, UnitMask before, UnitMask after) {
  const unsigned old_run = longest_run(before);
  const unsigned new_run = longest_run(after);
  if (old_run == new_run) return;
  if (old_run != 0) with_run_[old_run].erase(index.value);
  if (new_run != 0) with_run_[new_run].insert(index.value);
}

unsigned UnitHoles::longest_run(UnitMask used) const {
  if (used == 0) return 0;
  unsigned longest = 0;
  for (unsigned free = ~used & all(); free != 0; free &= free << 1) ++longest;
  return longest;
}

unsigned UnitHoles::place(UnitMask used, std::size_t units, std::size_t alignment) const {
  const unsigned free = ~used & all();
  unsigned starts = free;
  for (std::size_t i = 1; i < units; ++i) starts &= free >> i;
  for (unsigned unit = 0;; unit += static_cast<unsigned>(alignment)) {
    assert(unit < units_);
    if ((starts >> unit & 1) != 0) return unit;
  }
}

}  // namespace weir::heap
