#include "runtime/os/shared_lock.hpp"

#include <sched.h>

#include "runtime/os/futex.hpp"

namespace weir::os {
namespace {
constexpr int kSpins = 64;  // a critical section is one or two system calls: rarely worth a sleep
}

void SharedLock::wait_while(std::uint32_t state) noexcept {
  for (int spin = 0; spin < kSpins; ++spin)
    if (state_.load(std::memory_order_relaxed) != state) return;
  waiters_.fetch_add(1);
  futex_wait(state_, state);
  waiters_.fetch_sub(1);
}

void SharedLock::wake_all() noexcept {
  if (waiters_.load() != 0) futex_wake_all(state_);
}

void SharedLock::lock_shared() noexcept {
  for (;;) {
    std::uint32_t state = state_.load();
    if ((state & kWriter) != 0) {
      wait_while(state);
    } else if (state_.compare_exchange_weak(state, state + 1)) {
      return;
    }
  }
}

void SharedLock::unlock_shared() noexcept {
  if (state_.fetch_sub(1) == (kWriter | 1)) wake_all();
}

void SharedLock::lock() noexcept {
  for (;;) {
    std::uint32_t state = state_.load();
    if ((state & kWriter) != 0) {
      wait_while(state);
    } else if (state_.compare_exchange_weak(state, state | kWriter)) {
      break;
    }
  }
  for (std::uint32_t state = state_.load(); state != kWriter; state = state_.load())
    wait_while(state);
}

void SharedLock::unlock() noexcept {
  state_.fetch_and(~kWriter);
  if (waiters_.load() == 0) return;
  wake_all();
  ::sched_yield();  // a writer that comes again at once would starve the readers it has just woken
}

}  // namespace weir::os
