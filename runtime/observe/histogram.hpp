// How often values of each size occurred: a log-linear histogram, as in G. Tene's HdrHistogram,
// with 32 buckets to each power of two. 15 KiB, whatever is recorded. One thread at a time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace weir::observe {

// What is shown of a histogram.
struct Distribution {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;  // exact
  std::uint64_t p50 = 0;  // to 1/64 of the value
  std::uint64_t p99 = 0;
  std::uint64_t max = 0;  // exact

  double mean() const {
    return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
  }
};

class Histogram {
 public:
  // Any value. Constant time.
  void record(std::uint64_t value) noexcept;

  std::uint64_t count() const { return count_; }
  std::uint64_t sum() const { return sum_; }
  std::uint64_t max() const { return max_; }
  // The smallest recorded value that at least `fraction` of all are not above, to 1/64 of it; exact
  // below 64. `fraction` from 0 to 1; 1 is the maximum, exactly. 0 when nothing was recorded. Walks
  // all buckets: microseconds.
  std::uint64_t quantile(double fraction) const noexcept;
  Distribution distribution() const noexcept;

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSub;

  // Values below 2 * kSub have buckets of their own.
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t middle_of(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace weir::observe
