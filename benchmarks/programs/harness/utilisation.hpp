// Minimum mutator utilisation as the program sees it: a mutator looks at the clock now and then,
// and where much more time passed than its work takes, it did not get to run. In every window of 10
// or 100 ms, the share of time outside such gaps; of that, the least (Cheng and Blelloch, "A
// parallel, real-time garbage collector", 2001). A Pulse belongs to one thread; a Utilisation to
// all.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace weir::programs {

std::uint64_t now_ns();

struct Gap {
  std::uint64_t begin, end;
};

// Of gaps in the order of time, none overlapping, between `begin` and `end`: the least share of a
// window of `window` that is outside of them. Windows do not reach beyond the run.
double minimum_utilisation(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end,
                           std::uint64_t window);

class Utilisation {
 public:
  void add(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end);
  void forget() { mmu_10ms_ = mmu_100ms_ = 1; }
  double mmu_10ms() const { return mmu_10ms_; }  // of the thread that had the least
  double mmu_100ms() const { return mmu_100ms_; }

 private:
  std::mutex mutex_;
  double mmu_10ms_ = 1;
  double mmu_100ms_ = 1;
};

class Pulse {
 public:
  static constexpr std::uint64_t kGap = 50'000;  // ns; what is shorter is work
  static constexpr unsigned kBeats = 128;        // a look at the clock costs a tenth of them

  void begin();
  void end(Utilisation& utilisation);
  void beat() {
    if (--left_ == 0) look();
  }
  // For work of a microsecond or more.
  void long_beat() {
    if (left_ > kBeats / 8) left_ -= kBeats / 8;
    beat();
  }

 private:
  [[gnu::noinline]] void look();

  unsigned left_ = kBeats;
  std::uint64_t begin_ = 0, last_ = 0;
  std::vector<Gap> gaps_;
};

}  // namespace weir::programs
