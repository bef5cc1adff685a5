#include "runtime/observe/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace weir::observe {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < 2 * kSub) return static_cast<std::size_t>(value);
  // The kSubBits bits below the highest one choose among the buckets of that power of two.
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
  return shift * kSub + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::middle_of(std::size_t bucket) {
  if (bucket < 2 * kSub) return bucket;
  const std::size_t shift = bucket / kSub - 1;
  return ((kSub + bucket % kSub) << shift) + (std::uint64_t{1} << shift) / 2;
}

void Histogram::record(std::uint64_t value) noexcept {
  ++buckets_[bucket_of(value)];
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
}

std::uint64_t Histogram::quantile(double fraction) const noexcept {
  const auto wanted =
      static_cast<std::uint64_t>(std::ceil(std::max(fraction, 0.0) * static_cast<double>(count_)));
  if (wanted >= count_) return max_;
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen > 0 && seen >= wanted) return std::min(middle_of(bucket), max_);
  }
  return max_;
}

Distribution Histogram::distribution() const noexcept {
  return {count_, sum_, quantile(0.50), quantile(0.99), max_};
}

}  // namespace weir::observe
