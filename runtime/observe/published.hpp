// A value that one thread replaces now and then and any thread reads whole: a sequence lock over
// two copies. The writer never waits. A reader repeats only when it was overtaken by two updates; a
// writer that is stopped in the middle of one, or vanished in a fork, holds nobody up.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace weir::observe {

template <class T>
class Published {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint64_t) == 0);

 public:
  Published() { publish(T{}); }

  // One thread at a time.
  void publish(const T& value) noexcept {
    const auto words = std::bit_cast<Words>(value);
    const std::uint64_t next = version_.load(std::memory_order_relaxed) + 1;
    // Released one by one: who sees a word of this update sees the version before it, at least, and
    // no fence is needed, which ThreadSanitizer would not understand.
    for (std::size_t i = 0; i < kWords; ++i)
      copies_[next & 1][i].store(words[i], std::memory_order_release);
    version_.store(next, std::memory_order_release);
  }

  // Any thread.
  T read() const noexcept {
    for (;;) {
      const std::uint64_t version = version_.load(std::memory_order_acquire);
      Words words;
      for (std::size_t i = 0; i < kWords; ++i)
        words[i] = copies_[version & 1][i].load(std::memory_order_acquire);
      if (version_.load(std::memory_order_relaxed) != version) continue;
      return std::bit_cast<T>(words);
    }
  }

 private:
  static constexpr std::size_t kWords = sizeof(T) / sizeof(std::uint64_t);
  using Words = std::array<std::uint64_t, kWords>;

  std::array<std::array<std::atomic<std::uint64_t>, kWords>, 2> copies_{};
  std::atomic<std::uint64_t> version_{0};
};

}  // namespace weir::observe
