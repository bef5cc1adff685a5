// Everything at once: threads that poll and threads that do not, which attach, detach, block, stop
// the world themselves and hand their mutators to one another, while somebody else stops the world
// and looks whether anything moves.
#include <latch>
#include <mutex>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

struct Storm {
  explicit Storm(std::size_t threads) : all_done(static_cast<std::ptrdiff_t>(threads)) {}

  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kSpare = 4;  // on the table at first
  World world;
  Mutator mutators[kMost];  // each held by one thread, or on the table
  std::mutex table_lock;
  std::vector<Mutator*> table;
  std::latch all_done;
  std::atomic<bool> is_over{false};
  std::atomic<std::size_t> stops{0}, moved{0}, ran{0}, migrations{0}, by_signal{0}, blocked{0};

  // All stand still: nobody counts while we look twice.
  void look(Random& random) {
    std::uint64_t first[kMost];
    std::size_t seen = 0;
    world.for_each([&](MutatorThread& m) {
      if (m.state() == MutatorState::running || m.state() == MutatorState::detached) ++ran;
      if (m.stopped_by_signal()) ++by_signal;
      if (m.stopped_by_signal() && static_cast<Mutator&>(m).is_in_runtime) ++ran;
      if (m.state() == MutatorState::blocked) ++blocked;
      first[seen++] = static_cast<Mutator&>(m).count;
    });
    if (seen != world.size()) ++ran;
    for (std::size_t i = random() % 2000; i > 0; --i)
      std::atomic_signal_fence(std::memory_order_seq_cst);
    if (random() % 4 == 0) std::this_thread::yield();
    std::size_t index = 0;
    world.for_each([&](MutatorThread& m) {
      if (static_cast<Mutator&>(m).count != first[index++]) ++moved;
      std::uintptr_t sum = 0;  // all of it can be read
      m.for_each_conservative_range([&](Range r) { sum += is_in(r, 1); });
    });
    ++stops;
  }

  // The thread counts as stopped already; the lock is held for a moment only.
  Mutator* exchange(Mutator* mine, Random& random) {
    const std::lock_guard guard(table_lock);
    table.push_back(mine);
    std::swap(table.back(), table[random() % table.size()]);
    Mutator* other = table.back();
    table.pop_back();
    return other;
  }

  void run(Mutator* mine, std::uint64_t seed, bool may_poll) {
    Random random(seed);
    const auto attach = [&] {
      const bool poll = may_poll && random() % 2 == 0;
      mine->attach(world, poll ? StopMode::poll : StopMode::signal);
    };
    attach();
    while (!is_over.load(std::memory_order_relaxed)) {
      switch (random() % 16) {
        default:
          for (std::size_t i = random() % 500; i > 0; --i) {
            ++mine->count;
            if (mine->stop_mode() == StopMode::poll) mine->poll();
            std::atomic_signal_fence(std::memory_order_seq_cst);
          }
          break;
        case 0: {
          const MutatorThread::Runtime runtime(*mine);
          mine->is_in_runtime = true;
          for (std::size_t i = random() % 2000; i > 0; --i) {
            ++mine->count;
            std::atomic_signal_fence(std::memory_order_seq_cst);
          }
          if (random() % 2 == 0) mine->safepoint();
          ++mine->count;
          mine->is_in_runtime = false;
          break;
        }
        case 1:
          mine->enter_blocking();
          if (random() % 2 == 0) {
            mine->enter_blocking();
            std::this_thread::yield();
            mine->leave_blocking();
          }
          mine->leave_blocking();
          break;
        case 2:
          mine->enter_blocking();
          if (Mutator* other = exchange(mine, random); other != mine) {
            mine = other;
            ++migrations;
          }
          mine->leave_blocking();
          break;
        case 3:
          if (random() % 4 == 0) {
            world.detach(*mine);
            if (random() % 2 == 0) std::this_thread::yield();
            attach();
          }
          break;
        case 4:
          if (random() % 8 == 0 && world.stop()) {
            look(random);
            world.resume();
          }
          break;
        case 5:
          std::this_thread::yield();
          break;
      }
      ++mine->count;
      if (mine->stop_mode() == StopMode::poll) mine->poll();
    }
    world.detach(*mine);
    // A thread that ends takes along what blocked on it, so nobody may be about to migrate.
    all_done.arrive_and_wait();
  }
};

void rage(std::size_t count, std::uint64_t seed, std::size_t stops) {
  CAPTURE(count);
  Storm storm(count);
  for (std::size_t i = 0; i < Storm::kSpare; ++i) {
    Mutator& spare = storm.mutators[Storm::kMost - 1 - i];
    spare.attach(storm.world, kModes[i % 2]);
    spare.enter_blocking();
    storm.table.push_back(&spare);
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i)
      threads.emplace_back(
          [&storm, i, seed] { storm.run(&storm.mutators[i], seed + i, i % 3 != 2); });
    Random random(seed ^ 0x5eed);
    const auto has_seen_all = [&] {  // it may stop and stop, and nobody gets anywhere in between
      return storm.by_signal.load() > 0 && storm.blocked.load() > 0 && storm.migrations.load() > 0;
    };
    while (storm.stops.load() < stops || (count > 1 && !has_seen_all())) {
      if (storm.world.stop()) {
        storm.look(random);
        storm.world.resume();
      }
      for (std::size_t i = random() % 4; i > 0; --i) std::this_thread::yield();
    }
    storm.is_over = true;
  }
  for (Mutator* left : storm.table)  // those that no thread ever took
    if (left->state() != MutatorState::detached) storm.world.detach(*left);
  CHECK(storm.moved.load() == 0);
  CHECK(storm.ran.load() == 0);
  CHECK(storm.world.size() == 0);
  std::printf(
      "  %zu threads: %zu stops, found %zu stopped by signal, %zu blocking; %zu migrations\n",
      count, storm.stops.load(), storm.by_signal.load(), storm.blocked.load(),
      storm.migrations.load());
}

TEST_CASE("nobody runs while the world is stopped, whatever threads do") {
  const std::uint64_t seed = seed_for("threads/storm");
  for (const std::size_t count : {1, 2, 8, 32}) rage(count, seed, scaled(2000));
}

TEST_CASE("nor with ten thousand alarms a second, on the stack or on the signal stack") {
  const std::uint64_t seed = seed_for("threads/storm: alarms");
  const std::uint64_t before = AlarmStorm::rung.load();
  for (const int flags : {0, SA_ONSTACK}) {
    const AlarmStorm alarms(flags);
    rage(8, seed, scaled(2000));
  }
  CHECK(AlarmStorm::rung.load() > before);
}

}  // namespace
}  // namespace weir
