// Which pages are worth protecting again after a scan, and which stay unarmed ("hot"). Pure
// computation above all barriers: called by the collector after it scanned a page, world stopped.
// docs/arming-policy.md has the cost model and the bound: at most 3 times the offline optimum.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <weir/barrier.hpp>

namespace weir::barrier {

// What one page costs, in nanoseconds, finite and not negative. For `cards` a page is a card.
struct ArmingCosts {
  double trap = 1500;  // the first write to an armed page
  double rearm = 200;  // arming it again
  double scan = 3000;  // scanning it
};

// What to assume of a barrier before anything was measured.
ArmingCosts starting_costs(BarrierKind kind);

// Running means of the costs, robust against outliers: a sample counts as at most 4 times, and at
// least a quarter of, the mean so far. Samples of zero pages, and times that are negative or not
// finite, are ignored. One thread at a time. Without samples it is constant (deterministic mode).
class CostMeter {
 public:
  explicit CostMeter(const ArmingCosts& start);

  void observe_traps(double nanoseconds, std::size_t pages);
  void observe_rearms(double nanoseconds, std::size_t pages);
  void observe_scans(double nanoseconds, std::size_t pages);
  ArmingCosts costs() const { return {trap_.value, rearm_.value, scan_.value}; }

 private:
  struct Mean {
    double value;
    unsigned samples = 1;  // the starting value counts as one; saturates
    void add(double nanoseconds, std::size_t pages);
  };
  Mean trap_, rearm_, scan_;
};

// What the costs make of the policy in this cycle; for the log [say-why].
struct ArmingLimits {
  explicit ArmingLimits(const ArmingCosts& costs);

  double break_even;   // clean cycles whose scans cost as much as one re-arm and trap
  bool hot_pays;       // false: a trap is so cheap that every page is armed again at once
  unsigned short_gap;  // a page written again after at most so many clean cycles was armed in vain
  unsigned first_quiet;    // quiet scans in a row before a page that just went hot is armed again
  unsigned longest_quiet;  // the same for a page that was armed in vain, or found written often
  std::uint8_t gain;       // patience of a hot page (0..126): earned by a scan that finds ...
  std::uint8_t loss;       // ... and lost by one that finds nothing
  // "Hot" pays where a page is dirty in more than this fraction of the cycles: S/(S+T+R).
  double hot_fraction() const { return 1 / (1 + break_even); }
};

// The index of a page in the range that a policy serves.
struct PageIndex {
  std::size_t value;
};

enum class PageVerdict { rearm, keep_hot };

struct ArmingCounters {
  std::size_t hot_pages = 0;        // now
  std::size_t went_hot = 0;         // dirty too often to be armed
  std::size_t went_hot_again = 0;   // of these, after it was armed in vain: quiet scans misled
  std::size_t rearmed_at_once = 0;  // dirty, and no sign that it soon will be again
  std::size_t rearmed_quiet = 0;    // hot, and its patience is used up
  std::size_t forgotten_hot = 0;    // hot when its block was freed or recycled
};

// One byte of state per page of one range. Pages that are armed and clean cost nothing [o-dirty].
// begin_cycle: no other call at the same time. Verdicts and forget: any number of collector
// threads, each for pages of its own. counters: consistent when none of these runs.
class ArmingPolicy {
 public:
  // `table`: one byte per page, zeroed, owned by the caller, outlives the policy.
  ArmingPolicy(std::span<std::uint8_t> table, const ArmingCosts& costs);

  // Once per cycle, before its first verdict.
  void begin_cycle(const ArmingCosts& costs);

  // The page was armed, was reported dirty and has been scanned. What the scan found says nothing
  // more: that the page was written is known.
  PageVerdict after_dirty_scan(PageIndex page);
  // The page was hot and has been scanned; `found_young`: a slot to a young object was there, so
  // the page was written. That none was there does not prove the contrary.
  PageVerdict after_hot_scan(PageIndex page, bool found_young);

  bool is_hot(PageIndex page) const;
  // The pages are free or about to be allocated into; their past says nothing about their future.
  void forget(PageIndex first, std::size_t count);

  std::size_t page_count() const { return table_.size(); }
  const ArmingLimits& limits() const { return limits_; }
  ArmingCounters counters() const;

 private:
  PageVerdict go_hot(std::uint8_t& state, std::uint8_t patience);
  bool written_soon_after_arming(std::uint8_t state) const;

  std::span<std::uint8_t> table_;
  ArmingLimits limits_;
  std::uint8_t cycle_ = 0;  // modulo kStamps
  std::atomic<std::size_t> went_hot_{0}, went_hot_again_{0}, rearmed_at_once_{0}, rearmed_quiet_{0},
      forgotten_hot_{0};
};

}  // namespace weir::barrier
