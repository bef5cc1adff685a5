// A reader/writer lock on a futex: usable in signal handlers, allocates nothing, needs no set-up.
// Writers are preferred, so a reader must never lock it a second time: whoever takes it outside a
// fault handler blocks signals first (see FaultGate).
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::os {

class SharedLock {
 public:
  void lock_shared() noexcept;
  void unlock_shared() noexcept;
  void lock() noexcept;
  void unlock() noexcept;

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  void wait_while(std::uint32_t state) noexcept;
  void wake_all() noexcept;

  std::atomic<std::uint32_t> state_{0};    // kWriter, and the number of readers
  std::atomic<std::uint32_t> waiters_{0};  // who may sleep on state_
};

}  // namespace weir::os
