// Waiting for a word of this process's memory to change. Async-signal-safe, allocates nothing;
// errno is not preserved.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::os {

// Sleeps while `word` is `expected`, until somebody wakes it; may return for no reason.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept;
// The same, and for `nanoseconds` (less than a second) at most.
void futex_wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                    long nanoseconds) noexcept;
void futex_wake_all(const std::atomic<std::uint32_t>& word) noexcept;

}  // namespace weir::os
