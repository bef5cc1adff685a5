#include "runtime/barrier/arming_policy.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace weir::barrier {

namespace {

// The byte of a page. 0 is a page without a past.
//
//   hot    1 ppppppp   patience: how many quiet scans it may still cost, in units of limits_.loss
//   armed  0 hh ccccc  history, and the cycle of the arming modulo 32
//
// An armed page is looked at only when it is written, so the cycle stamp is what tells a short gap
// from a long one. A gap of a multiple of 32 cycles more looks short too: that makes a page hot
// that need not be, costs one hot episode, and leaves the bound alone.
constexpr std::uint8_t kHot = 0x80;
constexpr std::uint8_t kFullPatience = 126;
constexpr std::uint8_t kStamps = 32;

enum class History : std::uint8_t {
  none,     // never written while armed
  watched,  // the last gap was long, or unknown
  suspect,  // the last gap was short
  was_hot,  // armed after quiet scans
};

std::uint8_t armed_state(History history, std::uint8_t cycle) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(history) << 5 | cycle);
}
History history_of(std::uint8_t state) {
  return static_cast<History>(state >> 5 & 3);
}

// Below this a trap costs so little that no guess about the next cycle is worth a scan.
constexpr double kLeastBreakEven = 0.125;
// Keeps the arithmetic finite; the bound ends earlier, see docs/arming-policy.md, "Limits".
constexpr double kGreatestBreakEven = 1e6;

void count(std::atomic<std::size_t>& counter, std::size_t n = 1) {
  counter.fetch_add(n, std::memory_order_relaxed);
}

}  // namespace

ArmingCosts starting_costs(BarrierKind kind) {
  switch (kind) {
    case BarrierKind::async:
    case BarrierKind::soft_dirty:
      return {.trap = 1500, .rearm = 200, .scan = 3000};
    case BarrierKind::uffd_thread:
      return {.trap = 12000, .rearm = 250, .scan = 3000};
    case BarrierKind::uffd_sigbus:
      return {.trap = 6700, .rearm = 250, .scan = 3000};
    case BarrierKind::mprotect:
      return {.trap = 14000, .rearm = 250, .scan = 3000};
    case BarrierKind::cards:
      return {.trap = 5, .rearm = 5, .scan = 400};
    case BarrierKind::always_dirty:
      return {.trap = 0, .rearm = 0, .scan = 3000};
  }
  return {};
}

CostMeter::CostMeter(const ArmingCosts& start)
    : trap_{start.trap}, rearm_{start.rearm}, scan_{start.scan} {}

void CostMeter::Mean::add(double nanoseconds, std::size_t pages) {
  if (pages == 0 || !std::isfinite(nanoseconds) || nanoseconds < 0) return;
  // From zero a factor leads nowhere, hence the 1 ns.
  const double base = std::max(value, 1.0);
  const double sample = std::clamp(nanoseconds / static_cast<double>(pages), base / 4, base * 4);
  samples = std::min(samples + 1, 8u);
  value += (sample - value) / samples;
}

void CostMeter::observe_traps(double nanoseconds, std::size_t pages) {
  trap_.add(nanoseconds, pages);
}
void CostMeter::observe_rearms(double nanoseconds, std::size_t pages) {
  rearm_.add(nanoseconds, pages);
}
void CostMeter::observe_scans(double nanoseconds, std::size_t pages) {
  scan_.add(nanoseconds, pages);
}

ArmingLimits::ArmingLimits(const ArmingCosts& costs) {
  break_even =
      std::clamp((costs.trap + costs.rearm) / std::max(costs.scan, 1.0), 0.0, kGreatestBreakEven);
  hot_pays = break_even >= kLeastBreakEven;
  short_gap = std::min(static_cast<unsigned>(break_even), unsigned{kStamps} - 1);
  // More quiet scans than this, and a page that is written once whenever it is armed breaks the
  // bound of 3.
  const double most_quiet = std::min(2 + 2 * break_even, 4 + break_even);
  const double loss_exact = std::ceil(kFullPatience / most_quiet);
  loss = static_cast<std::uint8_t>(loss_exact);
  gain = static_cast<std::uint8_t>(
      std::min(break_even * loss_exact, static_cast<double>(kFullPatience - loss)));
  first_quiet = (gain + unsigned{loss}) / loss;
  longest_quiet = kFullPatience / loss;
}

ArmingPolicy::ArmingPolicy(std::span<std::uint8_t> table, const ArmingCosts& costs)
    : table_(table), limits_(costs) {}

void ArmingPolicy::begin_cycle(const ArmingCosts& costs) {
  limits_ = ArmingLimits(costs);
  cycle_ = static_cast<std::uint8_t>((cycle_ + 1) % kStamps);
}

bool ArmingPolicy::written_soon_after_arming(std::uint8_t state) const {
  const unsigned armed_in = state % kStamps;
  const unsigned clean_cycles = (cycle_ + 2u * kStamps - armed_in - 1) % kStamps;
  return clean_cycles <= limits_.short_gap;
}

PageVerdict ArmingPolicy::go_hot(std::uint8_t& state, std::uint8_t patience) {
  state = kHot | patience;
  count(went_hot_);
  return PageVerdict::keep_hot;
}

PageVerdict ArmingPolicy::after_dirty_scan(PageIndex page) {
  std::uint8_t& state = table_[page.value];
  assert((state & kHot) == 0);
  const auto history = history_of(state);
  const std::uint8_t entry = limits_.gain + limits_.loss;

  auto next = History::watched;
  if (limits_.hot_pays && history != History::none && written_soon_after_arming(state)) {
    if (history == History::was_hot) {
      count(went_hot_again_);
      return go_hot(state, kFullPatience);
    }
    // Where a trap costs more than a scan, two writes in close succession are enough.
    if (history == History::suspect || limits_.break_even >= 1) return go_hot(state, entry);
    next = History::suspect;
  }
  state = armed_state(next, cycle_);
  count(rearmed_at_once_);
  return PageVerdict::rearm;
}

PageVerdict ArmingPolicy::after_hot_scan(PageIndex page, bool found_young) {
  std::uint8_t& state = table_[page.value];
  assert((state & kHot) != 0);
  const int patience = state & ~kHot;
  const int left =
      found_young ? std::min<int>(patience + limits_.gain, kFullPatience) : patience - limits_.loss;
  if (limits_.hot_pays && (found_young || left >= limits_.loss)) {
    state = static_cast<std::uint8_t>(kHot | left);
    return PageVerdict::keep_hot;
  }
  state = armed_state(History::was_hot, cycle_);
  count(rearmed_quiet_);
  return PageVerdict::rearm;
}

bool ArmingPolicy::is_hot(PageIndex page) const {
  return (table_[page.value] & kHot) != 0;
}

void ArmingPolicy::forget(PageIndex first, std::size_t count_of_pages) {
  const auto pages = table_.subspan(first.value, count_of_pages);
  const auto hot = std::count_if(pages.begin(), pages.end(),
                                 [](std::uint8_t state) { return (state & kHot) != 0; });
  std::fill(pages.begin(), pages.end(), std::uint8_t{0});
  count(forgotten_hot_, static_cast<std::size_t>(hot));
}

ArmingCounters ArmingPolicy::counters() const {
  ArmingCounters c;
  c.went_hot = went_hot_.load(std::memory_order_relaxed);
  c.went_hot_again = went_hot_again_.load(std::memory_order_relaxed);
  c.rearmed_at_once = rearmed_at_once_.load(std::memory_order_relaxed);
  c.rearmed_quiet = rearmed_quiet_.load(std::memory_order_relaxed);
  c.forgotten_hot = forgotten_hot_.load(std::memory_order_relaxed);
  c.hot_pages = c.went_hot - c.rearmed_quiet - c.forgotten_hot;
  return c;
}

}  // namespace weir::barrier
