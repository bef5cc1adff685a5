// Threads that belong to two worlds and collect both never wait for each other, however each is
// stopped; nor does one that is in one world twice wait for itself.
#include <array>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

struct Pair {
  World worlds[2];
  std::atomic<std::size_t> moved{0}, stops[2] = {0, 0};

  void look(std::size_t w, Random& random) {
    std::array<std::uint64_t, 16> first{};
    std::size_t seen = 0;
    worlds[w].for_each([&](MutatorThread& m) { first[seen++] = static_cast<Mutator&>(m).count; });
    if (random() % 2 == 0) std::this_thread::yield();
    std::size_t index = 0;
    worlds[w].for_each([&](MutatorThread& m) {
      if (static_cast<Mutator&>(m).count != first[index++]) ++moved;
    });
    ++stops[w];
  }

  void run(std::uint64_t seed, std::array<StopMode, 2> modes, std::size_t rounds) {
    Random random(seed);
    Mutator mutators[2];
    for (int w : {0, 1}) mutators[w].attach(worlds[w], modes[w]);
    for (std::size_t round = 0; round < rounds; ++round) {
      const std::size_t w = random() % 2;
      switch (random() % 8) {
        case 0:
        case 1:
          if (worlds[w].stop()) {
            look(w, random);
            worlds[w].resume();
          }
          break;
        case 2:
          mutators[w].enter_blocking();
          std::this_thread::yield();
          ++mutators[1 - w].count;
          mutators[1 - w].poll();
          mutators[w].leave_blocking();
          break;
        case 3:
          worlds[w].detach(mutators[w]);
          mutators[w].attach(worlds[w], modes[w]);
          break;
        case 4: {
          const MutatorThread::Runtime runtime(mutators[w]);
          ++mutators[0].count, ++mutators[1].count;
          break;
        }
        default:
          for (std::size_t i = random() % 300; i > 0; --i) {
            ++mutators[0].count, ++mutators[1].count;
            std::atomic_signal_fence(std::memory_order_seq_cst);
          }
      }
      mutators[random() % 2].poll();
    }
    for (int w : {0, 1}) worlds[w].detach(mutators[w]);
  }
};

TEST_CASE("two worlds, all threads in both, all collect both") {
  const std::uint64_t seed = seed_for("threads/two_worlds");
  for (const std::size_t count : {2, 4}) {
    for (const unsigned modes : {0u, 1u, 2u, 3u, 4u}) {  // 4: each thread otherwise
      CAPTURE(count);
      CAPTURE(modes);
      Pair pair;
      {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < count; ++t) {
          const unsigned which = modes == 4 ? t % 4 : modes;
          const std::array<StopMode, 2> of{kModes[which & 1], kModes[which >> 1]};
          threads.emplace_back([&pair, seed, t, of] { pair.run(seed + t, of, scaled(3000)); });
        }
      }
      CHECK(pair.moved.load() == 0);
      CHECK(pair.stops[0].load() > 0);
      CHECK(pair.stops[1].load() > 0);
    }
  }
}

TEST_CASE("a thread that stops one world counts as stopped for the other, so both are at a time") {
  for (const StopMode mode : kModes) {
    World first, second;
    std::atomic<int> step{0};
    Mutator here[2];
    here[0].attach(first, mode);
    here[1].attach(second, StopMode::poll);
    std::jthread other([&] {
      Mutator mutators[2];
      mutators[0].attach(first, mode);
      mutators[1].attach(second, StopMode::poll);
      with_stopped(second, [&] {  // not before the other thread stops the first
        CHECK(here[1].state() == MutatorState::stopped_at_poll);
        step = 1;
        while (step.load() != 2) std::this_thread::yield();
      });
      first.detach(mutators[0]);
      second.detach(mutators[1]);
    });
    while (!second.is_stopped()) std::this_thread::yield();  // and does not poll
    with_stopped(first, [&] {
      first.for_each([](MutatorThread& m) { CHECK(m.state() == MutatorState::stopped_at_poll); });
      while (step.load() != 1) std::this_thread::yield();
      step = 2;
    });
    first.detach(here[0]);
    second.detach(here[1]);
  }
}

TEST_CASE("a thread that is in one world twice stops at polls while one of the two polls") {
  World world;
  std::atomic<bool> may_block{false}, is_over{false};
  std::jthread thread([&] {
    Mutator polling(world, StopMode::poll), other(world, StopMode::signal);
    while (!may_block.load()) polling.poll();
    polling.enter_blocking();
    while (!is_over.load()) ++other.count;
    polling.leave_blocking();
    world.detach(polling);
    world.detach(other);
  });
  while (world.size() != 2) std::this_thread::yield();
  std::size_t elsewhere = 0;
  for (std::size_t i = 0; i < scaled(2000); ++i) {
    with_stopped(world, [&] {
      world.for_each(
          [&](MutatorThread& m) { elsewhere += m.state() != MutatorState::stopped_at_poll; });
    });
    std::this_thread::yield();
  }
  CHECK(elsewhere == 0);
  may_block = true;
  for (std::size_t by_signal = 0; by_signal == 0;) {  // from then on, anywhere
    with_stopped(world, [&] {
      world.for_each([&](MutatorThread& m) { by_signal += m.stopped_by_signal(); });
    });
  }
  is_over = true;
}

}  // namespace
}  // namespace weir
