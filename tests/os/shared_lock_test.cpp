// The futex lock: exclusion, readers together, a writer that is not starved, no lost wakeup.
#include "runtime/os/shared_lock.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/random.hpp"

namespace weir {
namespace {

using namespace test;
using os::SharedLock;

TEST_CASE("readers are inside together") {
  SharedLock lock;
  std::atomic<int> inside{0};
  const auto meet = [&] {
    lock.lock_shared();
    inside.fetch_add(1);
    while (inside.load() != 2) std::this_thread::yield();  // would hang if they excluded each other
    lock.unlock_shared();
  };
  std::jthread other(meet);
  meet();
}

TEST_CASE("a writer is alone, and sees what the last one wrote") {
  SharedLock lock;
  std::uint64_t a = 0, b = 0;  // equal whenever nobody writes
  std::atomic<std::size_t> torn{0};
  const std::size_t rounds = scaled(20'000);
  const std::uint64_t seed = seed_for("shared_lock: a writer is alone");
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        Random random(seed + t);
        for (std::size_t i = 0; i < rounds; ++i) {
          if (random() % 4 == 0) {
            lock.lock();
            ++a;
            if (random() % 64 == 0) std::this_thread::yield();
            ++b;
            lock.unlock();
          } else {
            lock.lock_shared();
            if (a != b) torn.fetch_add(1);
            lock.unlock_shared();
          }
        }
      });
    }
  }
  CHECK(torn.load() == 0);
  CHECK(a == b);
  CHECK(a > 0);
}

TEST_CASE("a waiting writer keeps new readers out, so that it gets in") {
  SharedLock lock;
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::vector<std::jthread> readers;
  for (int t = 0; t < 4; ++t) {
    readers.emplace_back([&] {
      while (!stop.load()) {  // somebody is always inside
        lock.lock_shared();
        std::this_thread::yield();
        lock.unlock_shared();
      }
    });
  }
  for (std::size_t i = 0; i < scaled(2'000); ++i) {
    lock.lock();
    ++written;
    lock.unlock();
  }
  stop = true;
  CHECK(written.load() == static_cast<int>(scaled(2'000)));
}

TEST_CASE("no wakeup is lost when two hand the lock to each other") {
  // Each round one of the two must sleep or be about to; a lost wakeup hangs here.
  SharedLock lock;
  std::atomic<std::size_t> turn{0};
  const std::size_t rounds = scaled(50'000);
  const auto play = [&](std::size_t me) {
    for (std::size_t i = me; i < rounds; i += 2) {
      for (;;) {
        me == 0 ? lock.lock() : lock.lock_shared();
        const bool mine = turn.load() == i;
        if (mine) turn.store(i + 1);
        me == 0 ? lock.unlock() : lock.unlock_shared();
        if (mine) break;
        std::this_thread::yield();
      }
    }
  };
  {
    std::jthread other(play, std::size_t{1});
    play(0);
  }
  CHECK(turn.load() == rounds);
}

}  // namespace
}  // namespace weir
