// The clocks that everything here is timed by. Nanoseconds throughout; durations and points in time
// are both plain numbers, as in weir.h. Any thread, any state: neither takes a lock.
#pragma once

#include <cstdint>
#include <ctime>

namespace weir::observe {

inline std::uint64_t read_clock_ns(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// Since some point before the process began; never steps back. 20-45 ns.
inline std::uint64_t monotonic_ns() noexcept {
  return read_clock_ns(CLOCK_MONOTONIC);
}

// CPU time of the calling thread. A system call, 0.2-1 us: once or twice for a marker in a cycle.
inline std::uint64_t thread_cpu_ns() noexcept {
  return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

// The same of all threads of the process.
inline std::uint64_t process_cpu_ns() noexcept {
  return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

}  // namespace weir::observe
