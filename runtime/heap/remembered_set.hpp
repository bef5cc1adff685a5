// Which old memory may refer to young objects: what was written since it was armed, and what is
// written so often that it is not worth arming ("hot"). Between a heap's blocks and its barrier;
// the blocks' own flags (armed) are the space's to keep.
//
// disarm() is called by mutators for blocks that are theirs; everything else by the collecting
// thread, the world stopped.
#pragma once

#include "runtime/barrier/arming_policy.hpp"
#include "runtime/barrier/barrier.hpp"
#include "runtime/heap/region.hpp"
#include "runtime/observe/clock.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::heap {

// As of the last take().
struct RememberedCounters {
  std::size_t dirty_bytes = 0;
  std::size_t hot_bytes = 0;
  std::size_t went_hot = 0;  // since the beginning, as the next one
  std::size_t rearmed = 0;   // hot ones that were found quiet
};

class RememberedSet {
 public:
  // Watches all of the region, of which only parts have memory yet. Without `may_measure` all costs
  // are assumed, and runs repeat. Errors: those of Barrier::attach.
  static Expected<std::unique_ptr<RememberedSet>> create(const Region& region,
                                                         barrier::Barrier& barrier,
                                                         bool may_measure);
  ~RememberedSet();
  RememberedSet(const RememberedSet&) = delete;
  RememberedSet& operator=(const RememberedSet&) = delete;

  void arm(Range pages);
  void disarm(Range pages);

  // Calls scan(runs, found_young) with everything written since it was armed and everything hot,
  // below block `frontier`, none of it larger than a block; where it has found a reference to a
  // young object it says so in found_young, which is as long and begins as zeros. It answers what
  // it took, in CPU time of all threads. When it is called all that was written is armed again
  // already, or hot.
  using Scan = os::FunctionRef<std::uint64_t(std::span<const Range> runs,
                                             std::span<std::uint8_t> found_young)>;
  void take(std::size_t frontier, Scan scan);
  // Everything has been traced: what was written is armed again, and hot memory left as it
  // is.
  void reset(std::size_t frontier);

  const barrier::Barrier& barrier() const { return barrier_; }
  // What the last take or reset would have needed, in CPU time, had nothing been written: of all
  // walks the cheapest per page, lately. 0: not measured.
  std::uint64_t clean_walk_ns() const { return static_cast<std::uint64_t>(clean_walk_ns_); }
  // What the traps of the pages that it found cost their writers, as far as is known.
  std::uint64_t trap_ns() const {
    const std::size_t pages = dirty_bytes_ / unit_bytes_;
    return static_cast<std::uint64_t>(static_cast<double>(pages) * meter_.costs().trap);
  }
  bool is_hot(Address address) const { return policy_.is_hot(unit_of(address)); }
  RememberedCounters counters() const;

 private:
  RememberedSet(const Region& region, barrier::Barrier& barrier,
                os::OffHeapArray<std::uint8_t> table, bool may_measure);

  barrier::PageIndex unit_of(Address address) const {
    return {(address - region_.range().begin) / unit_bytes_};
  }
  Range range_of(std::size_t unit) const {
    return {region_.range().begin + unit * unit_bytes_, unit_bytes_};
  }
  void forget_disarmed();  // hot units whose blocks are allocated into
  void judge_hot(std::span<const std::uint8_t> found_young);
  void add_dirty(Range run);
  void walk(std::size_t frontier);
  void add_walk(std::size_t pages, std::uint64_t cpu_ns);
  void judge(Range run);
  void disarm_new_hot(std::size_t first);

  const Region& region_;
  barrier::Barrier& barrier_;
  const std::size_t unit_bytes_;
  const bool may_measure_;
  os::OffHeapArray<std::uint8_t> table_;
  barrier::CostMeter meter_;
  barrier::ArmingPolicy policy_;
  os::OffHeapVector<Range> runs_;  // to be scanned: hot ones, then what the last walk found
  os::OffHeapVector<std::uint8_t> found_young_;
  double clean_page_ns_ = 0;
  double clean_walk_ns_ = 0;
  os::OffHeapVector<std::size_t> hot_;  // units; some may have been disarmed since
  std::size_t dirty_bytes_ = 0;
};

}  // namespace weir::heap
