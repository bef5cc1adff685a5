// What a barrier knows of one attached range: which of its units are armed, written, and reported.
//
// `armed` and `dirty` are set from the fault path and from mutators as well; `taken` belongs to the
// thread that takes. `lock` keeps {record, unprotect} and {fill} (shared) apart from {take, re-arm}
// and {arm} (exclusive): a page that is armed and writable always has its dirty bit set
// [no-lost-write].
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <weir/address.hpp>
#include <weir/error.hpp>

#include "runtime/barrier/unit_bits.hpp"
#include "runtime/os/shared_lock.hpp"

namespace weir::barrier {

struct TrackedRange {
  static Expected<std::unique_ptr<TrackedRange>> create(Range range, unsigned unit_shift);

  std::size_t unit_of(Address a) const { return (a - range.begin) >> unit_shift; }
  UnitSpan units() const { return {0, range.size >> unit_shift}; }
  // `part` is made of whole units.
  UnitSpan units_in(Range part) const { return {unit_of(part.begin), part.size >> unit_shift}; }
  Range range_of(UnitSpan span) const {
    return {range.begin + (span.first << unit_shift), span.count << unit_shift};
  }

  // All that was ever armed lies in it. Ranges are attached that are far larger than what is in use
  // of them, so work that has to look at all units looks at these.
  UnitSpan ever_armed() const { return {0, armed_end_.load(std::memory_order_relaxed)}; }
  void about_to_arm(UnitSpan span) {  // by the thread that arms
    if (span.end() > armed_end_.load(std::memory_order_relaxed))
      armed_end_.store(span.end(), std::memory_order_relaxed);
  }

  Range range;
  unsigned unit_shift = 0;
  UnitBits armed;
  UnitBits dirty;
  UnitBits taken;
  UnitBits accessible;  // where a barrier changes access: was armed once, so that it is no mere
                        // reservation; else empty
  os::SharedLock lock;

 private:
  std::atomic<std::size_t> armed_end_{0};
};

}  // namespace weir::barrier
