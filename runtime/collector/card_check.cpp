#include "runtime/collector/card_check.hpp"

#include <algorithm>
#include <cstring>

namespace weir::collector {

void CardCheck::reported(Range run) {
  is_complete_ = is_complete_ && runs_.push_back(run);
}

bool CardCheck::is_reported(Address card) const {
  const Range* next = std::upper_bound(runs_.begin(), runs_.end(), card,
                                       [](Address a, const Range& run) { return a < run.begin; });
  return next != runs_.begin() && (next - 1)->contains(card);
}

Address CardCheck::find_missed() {
  if (!is_complete_) return Address();
  std::sort(runs_.begin(), runs_.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  const heap::Region& region = space_.region();
  for (std::size_t i = 0; i < space_.frontier(); ++i) {
    const heap::BlockIndex index(i);
    // Some pages of a block of large objects may not be armed, and what was written to a block that
    // is free again is of no interest.
    if (!region.block(index).armed || !region.block(index).has_small_objects()) continue;
    const Range block = region.range_of(index);
    for (Address card = block.begin; card < block.end();
         card = card + (std::size_t{1} << barrier::kCardShift))
      if (*region.cards().card_of(card) != 0 && !is_reported(card)) return card;
  }
  return Address();
}

void CardCheck::clear(const heap::Space& space) {
  const Range used = {space.region().range().begin, space.frontier() * heap::kBlockBytes};
  if (!used.empty())
    std::memset(space.region().cards().card_of(used.begin), 0, used.size >> barrier::kCardShift);
}

}  // namespace weir::collector
