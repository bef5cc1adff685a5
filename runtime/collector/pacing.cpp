#include "runtime/collector/pacing.hpp"

#include <algorithm>

#include "runtime/heap/units.hpp"

namespace weir::collector {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kFirstNursery = 8 * kMiB;
constexpr std::size_t kLeastNursery = 1 * kMiB;
constexpr std::size_t kGreatestNursery = 64 * kMiB;
// A choice between two estimates that are close would change its mind all the time.
constexpr double kClearlyCheaper = 0.8;
// Cycles differ: the mean has to be below the target.
constexpr double kOfTarget = 0.75;

}  // namespace

Pacing::Pacing(const weir_config& config)
    : minimum_(config.minimum_bytes),
      maximum_(config.maximum_bytes),
      growth_(config.growth),
      generations_(config.generations),
      may_measure_(!config.deterministic),
      is_nursery_fixed_(config.nursery_bytes != 0 || config.deterministic),
      target_ns_(static_cast<double>(config.pause_target_ns)),
      nursery_(config.nursery_bytes != 0 ? config.nursery_bytes : kFirstNursery),
      next_(config.generations ? Scope::young : Scope::all) {
  trigger_ = std::min(minimum_, maximum_);
}

void Pacing::set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes) {
  minimum_ = minimum_bytes;
  maximum_ = maximum_bytes;
  const auto grown = static_cast<std::size_t>(static_cast<double>(old_at_full_) * growth_);
  trigger_ =
      std::max(std::min(std::max(minimum_, grown), maximum_), old_at_full_ + heap::kBlockBytes);
}

void Pacing::add(const Cycle& cycle) {
  if (cycle.scope == Scope::all) {
    if (cycle.old_before > old_at_full_) {
      const std::size_t survived = std::min(cycle.old_after, cycle.old_before);
      const auto promoted = static_cast<double>(cycle.old_before - old_at_full_);
      dead_of_promoted_.add(
          std::min(1.0, static_cast<double>(cycle.old_before - survived) / promoted));
    }
    full_ns_per_byte_.add(static_cast<double>(cycle.cost_ns) /
                          static_cast<double>(std::max<std::size_t>(cycle.old_after, kMiB)));
    old_at_full_ = cycle.old_after;
    external_at_full_ = cycle.external;
    set_limits(minimum_, maximum_);
  } else {
    minor_ns_.add(static_cast<double>(cycle.cost_ns));
    minor_freed_.add(static_cast<double>(cycle.freed));
    resize_nursery(cycle);
  }
  choose(cycle);
}

// The pause of a minor cycle is what does not depend on the nursery, and a part in proportion to
// it. Where the first alone is longer than the target, more pauses are no remedy: the second may
// take as long then.
void Pacing::resize_nursery(const Cycle& cycle) {
  if (is_nursery_fixed_ || cycle.allocated < kLeastNursery) return;
  const auto fixed = static_cast<double>(cycle.fixed_ns);
  const double variable = std::max(1.0, static_cast<double>(cycle.pause_ns) - fixed);
  const double wanted = std::max(target_ns_ * kOfTarget - fixed, fixed) / variable;
  const double size = static_cast<double>(cycle.allocated) * wanted;
  const auto now = static_cast<double>(nursery_);
  // Half a step, and at most by a factor of two: cycles differ.
  const double next = now + (std::clamp(size, now / 2, now * 2) - now) / 2;
  const std::size_t most =
      std::clamp(cycle.old_after / 2, std::max(kFirstNursery, minimum_ / 2), kGreatestNursery);
  nursery_ =
      std::clamp(static_cast<std::size_t>(next), kLeastNursery, std::max(most, kLeastNursery));
}

bool Pacing::is_full_cheaper(const Cycle& cycle) const {
  if (!may_measure_ || !minor_ns_.is_known || !full_ns_per_byte_.is_known) return false;
  const auto old = static_cast<double>(std::max(cycle.old_after, kMiB));
  const auto promoted =
      static_cast<double>(cycle.old_after - std::min(cycle.old_after, old_at_full_));
  const double least = heap::kBlockBytes;
  const double full_freed =
      std::max(least, minor_freed_.value + promoted * dead_of_promoted_.value);
  const double full_cost = full_ns_per_byte_.value * old / full_freed;
  const double minor_cost = minor_ns_.value / std::max(least, minor_freed_.value);
  return full_cost < kClearlyCheaper * minor_cost;
}

void Pacing::choose(const Cycle& cycle) {
  const std::size_t external_growth = cycle.external - std::min(cycle.external, external_at_full_);
  next_ = Scope::all;
  if (!generations_) {
    why_ = observe::Reason::nursery;
  } else if (cycle.old_after > trigger_) {
    why_ = observe::Reason::growth;
  } else if (cycle.old_after + external_growth > trigger_) {
    why_ = observe::Reason::external;
  } else if (is_full_cheaper(cycle)) {
    why_ = observe::Reason::cheaper;
  } else {
    next_ = Scope::young;
    why_ = observe::Reason::nursery;
  }
}

}  // namespace weir::collector
