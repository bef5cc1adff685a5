// When the next cycle comes and which one it is: how much may be allocated until then, and whether
// a minor cycle will do. Computed at the end of each cycle, with the world stopped; reads no clock.
// docs/collector.md has the reasons.
//
//   nursery   follows the pause target: as large as a minor cycle that ends in time allows
//   full      when what is old has grown by the configured factor, or when it is expected to free
//             a byte for less than a minor cycle does
#pragma once

#include <weir/weir.h>

#include <cstdint>

#include "runtime/collector/scope.hpp"
#include "runtime/observe/cycle.hpp"

namespace weir::collector {

class Pacing {
 public:
  explicit Pacing(const weir_config& config);

  // A cycle that has just ended.
  struct Cycle {
    Scope scope = Scope::all;
    // CPU time: what the collecting thread needed for it; of that, what a smaller nursery would not
    // have saved; and what all threads did. Time in which it had no core tells nothing.
    std::uint64_t pause_ns = 0;
    std::uint64_t fixed_ns = 0;
    std::uint64_t cost_ns = 0;
    std::size_t allocated = 0;   // since the cycle before, in bytes
    std::size_t freed = 0;       // bytes
    std::size_t old_before = 0;  // bytes that were marked before it
    std::size_t old_after = 0;   // and are now
    std::size_t external = 0;    // bytes outside the heap that objects keep alive, now
  };
  void add(const Cycle& cycle);
  void set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes);

  std::size_t nursery_bytes() const { return nursery_; }
  Scope next() const { return next_; }
  observe::Reason why() const { return why_; }
  // What is old may grow up to here until a full cycle.
  std::size_t trigger_bytes() const { return trigger_; }

 private:
  // A mean that forgets: each sample weighs a quarter.
  struct Mean {
    double value = 0;
    bool is_known = false;
    void add(double sample) {
      value = is_known ? value + (sample - value) / 4 : sample;
      is_known = true;
    }
  };

  void resize_nursery(const Cycle& cycle);
  void choose(const Cycle& cycle);
  bool is_full_cheaper(const Cycle& cycle) const;

  std::size_t minimum_;
  std::size_t maximum_;
  const double growth_;
  const bool generations_;
  const bool may_measure_;
  const bool is_nursery_fixed_;
  const double target_ns_;

  std::size_t nursery_;
  std::size_t trigger_ = 0;
  Scope next_;
  observe::Reason why_ = observe::Reason::nursery;

  std::size_t old_at_full_ = 0;  // what the last full cycle left
  std::size_t external_at_full_ = 0;
  Mean minor_ns_, minor_freed_;
  Mean full_ns_per_byte_;  // of what it marks
  Mean dead_of_promoted_;  // fraction of what became old that the next full cycle freed
};

}  // namespace weir::collector
