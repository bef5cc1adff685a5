// A bounded queue of events from one thread to whoever drains it, off the heap. Writing neither
// waits, locks, allocates nor makes a system call. What does not fit is counted and dropped: the
// oldest events stay, since they say how the trouble began.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "runtime/observe/event.hpp"
#include "runtime/os/off_heap.hpp"

namespace weir::observe {

class EventRing {
 public:
  // `capacity` a power of two.
  static Expected<EventRing> create(std::size_t capacity);

  // Without room: every event is lost.
  EventRing() = default;
  EventRing(EventRing&& other) noexcept  // before anyone writes or drains
      : events_(std::move(other.events_)) {}
  EventRing& operator=(EventRing&&) = delete;

  // One thread at a time. Its own signal handlers may write, too: an event of a handler that
  // interrupted push() is lost and counted.
  void push(const Event& event) noexcept {
    if (pushing_.load(std::memory_order_relaxed)) return lose();
    pushing_.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) < events_.size()) {
      events_[head & (events_.size() - 1)] = event;
      head_.store(head + 1, std::memory_order_release);
    } else {
      lose();
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    pushing_.store(false, std::memory_order_relaxed);
  }

  // One thread at a time, while others push. Moves the oldest events to `into`; returns how many.
  std::size_t drain(std::span<Event> into) noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    const std::uint64_t ready = head_.load(std::memory_order_acquire) - tail;
    const std::size_t taken = std::min<std::uint64_t>(ready, into.size());
    for (std::size_t i = 0; i < taken; ++i) into[i] = events_[(tail + i) & (events_.size() - 1)];
    tail_.store(tail + taken, std::memory_order_release);
    return taken;
  }

  std::size_t capacity() const { return events_.size(); }
  // Since creation. Any thread.
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  explicit EventRing(os::OffHeapArray<Event> events) : events_(std::move(events)) {}
  // A handler may run between load and store, and its loss then be forgotten: not with fetch_add.
  void lose() noexcept { lost_.fetch_add(1, std::memory_order_relaxed); }

  os::OffHeapArray<Event> events_;
  // The writer's line, and the drainer's.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<bool> pushing_{false};
  alignas(64) std::atomic<std::uint64_t> tail_{0};
};

}  // namespace weir::observe
