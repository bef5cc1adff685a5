// A signal that comes all the time, for what must not mind it.
#pragma once

#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <cstdint>

namespace weir::test {

// SIGALRM, ten thousand times a second, to whichever thread the kernel picks.
class AlarmStorm {
 public:
  explicit AlarmStorm(int flags = 0) {
    struct sigaction action = {};
    action.sa_handler = [](int) { rung.fetch_add(1, std::memory_order_relaxed); };
    action.sa_flags = SA_RESTART | flags;
    ::sigaction(SIGALRM, &action, &before_);
    const itimerval often{{0, 100}, {0, 100}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
  }
  ~AlarmStorm() {
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }
  static inline std::atomic<std::uint64_t> rung{0};

 private:
  struct sigaction before_ = {};
};

}  // namespace weir::test
