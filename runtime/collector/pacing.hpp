// When the next cycle comes and which one it is: how much may be allocated until then, and whether
// a minor cycle will do. Computed at the end of each cycle, with the world stopped; reads no clock.
// docs/collector.md has the reasons.
//
//   nursery   follows the pause target: as large as a minor cycle that ends in time allows, and no
//             larger than it takes for these to cost little
//   full      when what is old has grown by the configured factor; every cycle, where generations
//             make the whole program slower than full cycles alone would
//
//   generations <--a full cycle that arms all--- without
//               ---a full cycle that arms nothing-->
#pragma once

#include <weir/weir.h>

#include <algorithm>
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
    // CPU time: what the collecting thread needed for it, or waited for a marker that did; of that,
    // what a smaller nursery would not have saved; and what all threads did. Since the cycle
    // before, of the process: all of it, and what the mutators' traps took. Time in which a thread
    // had no core tells nothing.
    std::uint64_t pause_ns = 0;
    std::uint64_t fixed_ns = 0;
    std::uint64_t cost_ns = 0;
    std::uint64_t mutators_ns = 0;
    std::uint64_t trap_ns = 0;
    std::size_t allocated = 0;   // since the cycle before, in bytes
    std::size_t old_before = 0;  // bytes that were marked before it
    std::size_t old_after = 0;   // and are now
    std::size_t external = 0;    // bytes outside the heap that objects keep alive, now
  };
  void add(const Cycle& cycle);
  // Of a full cycle, before it sweeps and arms: what was allocated since the cycle before, and what
  // lives now, in bytes. A heap that is no longer built gets its generations back.
  void reconsider(std::size_t allocated, std::size_t live);
  void set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes);

  bool has_generations() const { return has_generations_; }      // old memory is watched
  bool wants_generations() const { return wants_generations_; }  // from the next full cycle on
  // What may be allocated until the next cycle.
  std::size_t budget_bytes() const;
  // What the heap may grow to rather than look for memory between old objects.
  std::size_t size_bytes() const { return trigger_ + (has_generations_ ? nursery_ : 0); }
  Scope next() const { return next_; }
  observe::Reason why() const { return why_; }

 private:
  // A mean that forgets: each sample weighs a quarter.
  struct Mean {
    double value = 0;
    double last_ns = 0;
    bool is_known = false;
    void add(double sample) {
      value = is_known ? value + (sample - value) / 4 : sample;
      is_known = true;
    }
    // A virtual machine may lose its processor: what is more than twice the mean so far counts in
    // full the second time.
    void add_time(double ns) {
      add(is_known ? std::min(ns, std::max(2 * value, last_ns)) : ns);
      last_ns = ns;
    }
  };

  void add_full(const Cycle& cycle);
  void add_minor(const Cycle& cycle);
  void forget_minors();  // those to come may cost something else
  void resize_nursery(const Cycle& cycle);
  void choose(const Cycle& cycle);
  // What is old may grow up to there, where a full cycle left that.
  std::size_t trigger_after(std::size_t live, bool has_generations) const;
  bool are_full_cycles_cheaper() const;
  bool is_full_due() const;

  std::size_t minimum_;
  std::size_t maximum_;
  const double growth_;
  const bool generations_;
  const bool may_measure_;
  const bool is_nursery_fixed_;
  const double target_ns_;

  std::size_t nursery_;
  std::size_t trigger_ = 0;  // what is old may grow up to here until a full cycle
  std::size_t old_ = 0;
  Scope next_;
  observe::Reason why_ = observe::Reason::nursery;

  bool has_been_full_ = false;
  bool has_generations_;
  bool wants_generations_;
  bool is_building_ = false;    // a quarter survived the last minor cycle, and full cycles
                                // have not said that this dies, too
  bool is_filling_ = false;     // for the first time, and half of it survives: a minor cycle is
                                // wasted on that, and what is written will not be armed for it
  bool is_settled_ = false;     // the last full cycle kept hardly more than the one before
  double room_factor_ = 1;      // of what `growth` gives a settled heap without generations
  unsigned minors_ = 0;         // since the last change
  unsigned fulls_without_ = 0;  // generations; of `patience_`, after which they are tried again
  unsigned patience_;
  unsigned return_after_ = 1;  // so many of a heap that is no longer built; then four times as
                               // many: what survives minor cycles may die soon after

  std::size_t old_at_full_ = 0;  // what the last full cycle left
  std::size_t external_at_full_ = 0;
  double since_full_ns_ = 0;  // CPU time of the process, as far as minor cycles ended it
  // Of minor cycles: the last ones, where there are none now.
  Mean minor_ns_, minor_allocated_, minor_promoted_, mutators_ns_;
  Mean full_ns_per_byte_;  // of what it marks
};

}  // namespace weir::collector
