// Random numbers that are the same on every system, and cost a nanosecond; and what a program's
// results are folded into. Not for threads to share.
#pragma once

#include <cmath>
#include <cstdint>

namespace weir::programs {

// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [0, limit), for a limit far below 2^32.
  std::uint64_t below(std::uint64_t limit) { return ((next() >> 32) * limit) >> 32; }
  // In [0, 1).
  double share() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // In [0, limit), i with a probability that falls as 1 / (i + 1): Zipf's law with exponent 1.
  std::uint64_t zipf_below(std::uint64_t limit) {
    const double rank = std::exp(share() * std::log(static_cast<double>(limit)));
    const auto found = static_cast<std::uint64_t>(rank) - 1;
    return found < limit ? found : limit - 1;
  }

 private:
  std::uint64_t state_;
};

// Depends on the order of what is added.
class Checksum {
 public:
  void add(std::uint64_t value) { sum_ = (sum_ ^ value) * 0x100000001b3u + (sum_ >> 47); }
  std::uint64_t value() const { return sum_; }

 private:
  std::uint64_t sum_ = 0xcbf29ce484222325u;
};

}  // namespace weir::programs
