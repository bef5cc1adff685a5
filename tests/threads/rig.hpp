// Mutators that count, and somebody who looks whether they do.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>

#include "runtime/os/last_words.hpp"
#include "runtime/threads/world.hpp"
#include "tests/support/alarm_storm.hpp"

namespace weir::test {

using threads::MutatorState;
using threads::MutatorThread;
using threads::StopMode;
using threads::ThreadOptions;
using threads::World;

struct PollWord {
  std::uint32_t poll_word = 0;
};

class Mutator : PollWord, public MutatorThread {
 public:
  Mutator() : MutatorThread(poll_word) {}
  Mutator(World& world, StopMode stop) : Mutator() { attach(world, stop); }

  void attach(World& world, StopMode stop) {
    ThreadOptions options;
    options.stop = stop;
    const auto done = world.attach(*this, options);
    REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
  }
  bool is_asked() { return std::atomic_ref(poll_word).load(std::memory_order_relaxed) != 0; }
  void poll() {
    if (is_asked()) safepoint();
  }

  volatile bool is_in_runtime = false;
  std::uint64_t count = 0;  // of the running thread; not atomic, so that sanitizers watch
};

// The words that the collector would read of a stopped thread.
__attribute__((no_sanitize("address", "thread"))) inline bool is_in(Range range,
                                                                    std::uintptr_t value) {
  for (Address a = range.begin; a < range.end(); a = a + sizeof value)
    if (*a.as<const volatile std::uintptr_t>() == value) return true;
  return false;
}
inline bool holds(const MutatorThread& mutator, std::uintptr_t value) {
  bool found = false;
  mutator.for_each_conservative_range([&](Range range) {
    if (!range.is_aligned(sizeof value)) os::last_words("a range of no whole words", range.begin);
    found = found || is_in(range, value);
  });
  return found;
}

// Stops the world, whoever else does, and calls `look`.
template <class Look>
void with_stopped(World& world, Look&& look) {
  while (!world.stop()) {
  }
  look();
  world.resume();
}

// Whether another thread finds the value whose complement is given, while the mutator, of the
// calling thread, polls: so the value is nowhere on the stack but where the test put it.
[[gnu::noinline]] inline bool others_find(World& world, Mutator& mutator,
                                          std::uintptr_t disguised) {
  std::atomic<bool> is_done{false};
  bool found = false;
  std::jthread other([&world, &mutator, &is_done, &found, disguised] {
    with_stopped(world, [&] { found = holds(mutator, ~disguised); });
    is_done = true;
  });
  while (!is_done.load()) mutator.poll();
  return found;
}

inline constexpr StopMode kModes[] = {StopMode::poll, StopMode::signal};
inline const char* name_of_mode(StopMode mode) {
  return mode == StopMode::poll ? "poll" : "signal";
}

}  // namespace weir::test
