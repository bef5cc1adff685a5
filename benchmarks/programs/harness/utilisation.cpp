#include "benchmarks/programs/harness/utilisation.hpp"

#include <algorithm>
#include <ctime>

namespace weir::programs {

std::uint64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}

namespace {

// The time in gaps before `at`, of which `whole` gaps, `before` together, begin before it.
std::uint64_t in_gaps(const std::vector<Gap>& gaps, const std::vector<std::uint64_t>& sums,
                      std::uint64_t at) {
  const auto next = std::ranges::lower_bound(gaps, at, {}, &Gap::begin);
  const auto whole = static_cast<std::size_t>(next - gaps.begin());
  if (whole == 0) return 0;
  const Gap& last = gaps[whole - 1];
  return sums[whole - 1] + std::min(at, last.end) - last.begin;
}

}  // namespace

double minimum_utilisation(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end,
                           std::uint64_t window) {
  if (end <= begin) return 1;
  window = std::min(window, end - begin);
  std::vector<std::uint64_t> sums{0};
  for (const Gap& gap : gaps) sums.push_back(sums.back() + gap.end - gap.begin);
  std::uint64_t most = 0;
  const auto consider = [&](std::uint64_t from) {
    from = std::clamp(from, begin, end - window);
    most = std::max(most, in_gaps(gaps, sums, from + window) - in_gaps(gaps, sums, from));
  };
  // The worst window begins where a gap begins, or ends where one ends.
  for (const Gap& gap : gaps) {
    consider(gap.begin);
    consider(gap.end > window ? gap.end - window : 0);
  }
  return 1 - static_cast<double>(most) / static_cast<double>(window);
}

void Utilisation::add(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end) {
  const double short_term = minimum_utilisation(gaps, begin, end, 10'000'000);
  const double long_term = minimum_utilisation(gaps, begin, end, 100'000'000);
  const std::lock_guard lock(mutex_);
  mmu_10ms_ = std::min(mmu_10ms_, short_term);
  mmu_100ms_ = std::min(mmu_100ms_, long_term);
}

void Pulse::begin() {
  gaps_.clear();
  gaps_.reserve(4096);
  left_ = kBeats;
  begin_ = last_ = now_ns();
}

void Pulse::end(Utilisation& utilisation) {
  look();
  utilisation.add(gaps_, begin_, last_);
}

void Pulse::look() {
  left_ = kBeats;
  const std::uint64_t now = now_ns();
  if (now - last_ >= kGap) gaps_.push_back({last_, now});
  last_ = now;
}

}  // namespace weir::programs
