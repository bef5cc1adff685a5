// How fast pages are pushed: so many bytes a second, whatever the sleeping is late by, made up for
// in bursts of at most a hundredth of a second. One thread's.
#pragma once

#include <chrono>
#include <cstddef>

namespace weir::faults {

class PushPace {
 public:
  static constexpr int kNever = -1;

  explicit PushPace(std::size_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  // 0: the next push may come now.
  int milliseconds_to_wait() const {
    if (bytes_per_second_ == 0) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_ - Clock::now()).count();
    return left > 0 ? static_cast<int>(left) : 0;
  }
  void pushed(std::size_t bytes) {
    if (bytes_per_second_ == 0) return;
    const auto earliest = Clock::now() - kBurst;
    if (due_ < earliest) due_ = earliest;
    due_ += std::chrono::nanoseconds(bytes * 1'000'000'000 / bytes_per_second_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kBurst{10};

  std::size_t bytes_per_second_;
  Clock::time_point due_;
};

}  // namespace weir::faults
