#include "runtime/barrier/tracked_range.hpp"

#include <utility>

namespace weir::barrier {

Expected<std::unique_ptr<TrackedRange>> TrackedRange::create(Range range, unsigned unit_shift) {
  auto tracked = std::make_unique<TrackedRange>();
  tracked->range = range;
  tracked->unit_shift = unit_shift;
  for (UnitBits* bits : {&tracked->armed, &tracked->dirty, &tracked->taken}) {
    auto made = UnitBits::create(tracked->units().count);
    if (!made) return tl::unexpected(made.error());
    *bits = std::move(*made);
  }
  return tracked;
}

}  // namespace weir::barrier
