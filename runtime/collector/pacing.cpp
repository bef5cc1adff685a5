#include "runtime/collector/pacing.hpp"

#include <algorithm>

#include "runtime/heap/units.hpp"

namespace weir::collector {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
// With all of it alive, in small objects, a pause is about twice the target.
constexpr std::size_t kLeastNursery = 4 * kMiB;
constexpr std::size_t kGreatestNursery = 64 * kMiB;
// Of the whole program's time: pauses are longer without generations, and the heap is larger.
constexpr double kWorthIt = 0.85;
// Cycles differ: the mean has to be below the target.
constexpr double kOfTarget = 0.75;
// Of the mutators' time, what minor cycles may cost before a larger nursery is worth its memory.
constexpr double kCheapMinors = 0.03;
// Minor cycles after which their cost is known, and after which it is known where it is far higher.
constexpr unsigned kEnoughMinors = 6;
constexpr unsigned kFewMinors = 2;
constexpr double kFarFromIt = 0.7;
// Full cycles after which generations are tried again: twice as many each time that they lose.
constexpr unsigned kLeastPatience = 12;
constexpr unsigned kMostPatience = 128;
// A full cycle's CPU time in pause targets, below which its pause is no price to be paid; nor is it
// where minor cycles take as long.
constexpr double kShortFull = 2;
// Of the program's time since the last full cycle; a few pauses; and what a byte costs a full cycle
// before there was one.
constexpr double kLittle = 0.02;
constexpr double kFewTargets = 4;
constexpr double kAssumedFullNs = 1;
// Of the time between full cycles where there are no others, what they may take before the heap has
// more room than `growth` gives it, and how much more at most.
constexpr double kDear = 0.1;
constexpr double kMostRoom = 4.0 / 3;

double growth_of(std::uint64_t now, std::uint64_t before) {
  return static_cast<double>(now - std::min(now, before));
}

}  // namespace

Pacing::Pacing(const weir_config& config)
    : minimum_(config.minimum_bytes),
      maximum_(config.maximum_bytes),
      growth_(config.growth),
      generations_(config.generations),
      may_measure_(!config.deterministic),
      is_nursery_fixed_(config.nursery_bytes != 0 || config.deterministic),
      target_ns_(static_cast<double>(config.pause_target_ns)),
      nursery_(config.nursery_bytes != 0 ? config.nursery_bytes : kLeastNursery),
      next_(config.generations ? Scope::young : Scope::all),
      has_generations_(config.generations),
      wants_generations_(config.generations),
      patience_(kLeastPatience) {
  trigger_ = std::min(minimum_, maximum_);
}

void Pacing::set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes) {
  minimum_ = minimum_bytes;
  maximum_ = maximum_bytes;
  trigger_ = trigger_after(old_at_full_, has_generations_);
}

std::size_t Pacing::trigger_after(std::size_t live, bool has_generations) const {
  const double room = (growth_ - 1) * (is_settled_ && !has_generations ? room_factor_ : 1);
  const auto grown = static_cast<std::size_t>(static_cast<double>(live) * (1 + room));
  return std::max(std::min(std::max(minimum_, grown), maximum_), live + heap::kBlockBytes);
}

std::size_t Pacing::budget_bytes() const {
  std::size_t limit = std::min(old_ + nursery_, maximum_);
  // The full cycle that gives generations up need not come sooner than those after it.
  if (!has_generations_ || !wants_generations_) limit = std::max(limit, trigger_);
  if (is_filling_) limit = std::max(limit, std::min(trigger_, old_ + kGreatestNursery));
  return std::max(limit - std::min(limit, old_), heap::kBlockBytes);
}

void Pacing::reconsider(std::size_t allocated, std::size_t live) {
  if (!generations_ || has_generations_ || !is_building_) return;
  if (fulls_without_ + 1 < return_after_) return;
  if (growth_of(live, old_) >= static_cast<double>(allocated) / 4) return;
  wants_generations_ = true;
  return_after_ = std::min(return_after_ * 4, kMostPatience);
}

void Pacing::forget_minors() {
  minors_ = 0;
  minor_ns_ = minor_allocated_ = minor_promoted_ = mutators_ns_ = {};
}

void Pacing::add(const Cycle& cycle) {
  old_ = cycle.old_after;
  if (cycle.scope == Scope::all)
    add_full(cycle);
  else
    add_minor(cycle);
  choose(cycle);
}

void Pacing::add_full(const Cycle& cycle) {
  // What is kept after one full cycle after the other has stopped growing.
  const bool has_grown = cycle.old_after > old_at_full_ + old_at_full_ / 8;
  is_settled_ = has_been_full_ && !has_grown;
  if (has_been_full_ && !wants_generations_ && has_grown) is_building_ = true;
  if (!has_generations_ && may_measure_) {
    const auto cost = static_cast<double>(cycle.cost_ns);
    const double share = cost / (cost + static_cast<double>(cycle.mutators_ns));
    room_factor_ = std::clamp(share / kDear, 1.0, kMostRoom);
  }
  has_been_full_ = true;
  is_filling_ = false;
  since_full_ns_ = 0;
  full_ns_per_byte_.add_time(static_cast<double>(cycle.cost_ns) /
                             static_cast<double>(std::max<std::size_t>(cycle.old_after, kMiB)));
  old_at_full_ = cycle.old_after;
  external_at_full_ = cycle.external;
  if (has_generations_ != wants_generations_) {
    has_generations_ = wants_generations_;
    fulls_without_ = 0;
    if (has_generations_) forget_minors();
  } else if (!has_generations_) {
    ++fulls_without_;
  }
  set_limits(minimum_, maximum_);
}

void Pacing::add_minor(const Cycle& cycle) {
  since_full_ns_ += static_cast<double>(cycle.mutators_ns + cycle.cost_ns);
  if (cycle.allocated < nursery_ / 2) return;  // somebody asked for it
  if (cycle.allocated > nursery_ * 2) return;  // most of it was one large object
  ++minors_;
  minor_ns_.add_time(static_cast<double>(cycle.cost_ns + cycle.trap_ns));
  minor_allocated_.add(static_cast<double>(cycle.allocated));
  const double promoted = growth_of(cycle.old_after, cycle.old_before);
  minor_promoted_.add(promoted);
  is_building_ = !is_settled_ && promoted * 4 > static_cast<double>(cycle.allocated);
  const bool is_lost = promoted * 2 > static_cast<double>(cycle.allocated);
  is_filling_ = is_lost && !has_been_full_ && !is_nursery_fixed_;
  // Until there was a full cycle, such a one tells what marking costs.
  if (is_lost && !has_been_full_)
    full_ns_per_byte_.add_time(static_cast<double>(cycle.cost_ns) / promoted);
  mutators_ns_.add_time(growth_of(cycle.mutators_ns, cycle.trap_ns));
  resize_nursery(cycle);
}

// The pause of a minor cycle is what does not depend on the nursery, and a part in proportion to
// it. Where the first alone is about as long as the target, more pauses are no remedy: the second
// may take half as long then.
//
// Nor is it larger than it takes for minor cycles to cost little: what is used again is in the
// cache, and memory is better spent on what is old.
void Pacing::resize_nursery(const Cycle& cycle) {
  if (is_nursery_fixed_) return;
  const auto fixed = static_cast<double>(cycle.fixed_ns);
  const double variable = std::max(1.0, static_cast<double>(cycle.pause_ns) - fixed);
  const double wanted = std::max(target_ns_ * kOfTarget - fixed, fixed / 2) / variable;
  const auto cost = static_cast<double>(cycle.cost_ns + cycle.trap_ns);
  const double mutators = std::max(1.0, growth_of(cycle.mutators_ns, cycle.trap_ns));
  const double enough = cost / (kCheapMinors * mutators);
  const double size = static_cast<double>(cycle.allocated) * std::min(wanted, enough);
  const auto now = static_cast<double>(nursery_);
  // Too long a pause is followed by more of them: smaller at once, larger by half a step.
  const double next = size < now ? std::max(size, now / 4) : now + std::min(size - now, now) / 2;
  // Where little may be free, not all of it: what is missing then costs a full cycle.
  const std::size_t most =
      std::min(std::clamp(cycle.old_after / 4, 4 * kLeastNursery, kGreatestNursery),
               (maximum_ - std::min(maximum_, cycle.old_after)) / 2);
  nursery_ =
      std::clamp(static_cast<std::size_t>(next), kLeastNursery, std::max(most, kLeastNursery));
}

// For each byte allocated. Without generations a full cycle comes each time that what was allocated
// since the last one fills the heap up to the trigger; with them, each time that what was promoted
// does.
bool Pacing::are_full_cycles_cheaper() const {
  if (!may_measure_ || !full_ns_per_byte_.is_known) return false;
  // While a heap is built, what it costs does not tell what it will.
  if (minors_ < (is_building_ ? kEnoughMinors : kFewMinors)) return false;
  const double allocated = std::max(1.0, minor_allocated_.value);
  const std::size_t marked = has_been_full_ ? old_at_full_ : old_;
  const double full_ns = full_ns_per_byte_.value * static_cast<double>(std::max(marked, kMiB));
  const std::size_t room = std::max(trigger_after(marked, false) - marked, nursery_);
  const double without = full_ns / static_cast<double>(room);
  const double with = minor_ns_.value / allocated + minor_promoted_.value / allocated * without;
  const double mutators = mutators_ns_.value / allocated;
  const double worth = minors_ < kEnoughMinors                                        ? kFarFromIt
                       : full_ns < std::max(kShortFull * target_ns_, minor_ns_.value) ? 1
                                                                                      : kWorthIt;
  return mutators + without < worth * (mutators + with);
}

// By the trigger, and where it is short and costs little beside what the program did since the last
// one, sooner: what is old then is known to live, and a heap whose full cycles are short needs no
// generations.
bool Pacing::is_full_due() const {
  if (old_ > trigger_) return true;
  if (!may_measure_ || old_ < old_at_full_ + (trigger_ - old_at_full_) / 4) return false;
  const double ns_per_byte = full_ns_per_byte_.is_known ? full_ns_per_byte_.value : kAssumedFullNs;
  return ns_per_byte * static_cast<double>(old_) <
         std::min(kLittle * since_full_ns_, kFewTargets * target_ns_);
}

void Pacing::choose(const Cycle& cycle) {
  const auto external_growth =
      static_cast<std::size_t>(growth_of(cycle.external, external_at_full_));
  is_filling_ = is_filling_ && cycle.old_after + external_growth <= trigger_;
  next_ = Scope::all;
  wants_generations_ = generations_;
  if (!generations_) {
    why_ = observe::Reason::nursery;
  } else if (!has_generations_) {
    why_ = observe::Reason::cheaper;
    wants_generations_ = fulls_without_ >= patience_;
    if (wants_generations_) patience_ = std::min(patience_ * 2, kMostPatience);
  } else if (are_full_cycles_cheaper()) {
    why_ = observe::Reason::cheaper;
    wants_generations_ = false;
  } else if (is_filling_ || is_full_due()) {
    why_ = observe::Reason::growth;
  } else if (cycle.old_after + external_growth > trigger_) {
    why_ = observe::Reason::external;
  } else {
    next_ = Scope::young;
    why_ = observe::Reason::nursery;
    if (minors_ > 4 * kEnoughMinors) {
      patience_ = kLeastPatience;
      return_after_ = 1;
    }
  }
}

}  // namespace weir::collector
