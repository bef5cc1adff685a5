// A lock that threads of both kinds use, as they use malloc's: whoever polls may wait for one that
// a signal would stop, so it has to be stopped first.
#include <mutex>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

TEST_CASE("a thread that polls may wait for a lock of one that a signal stops") {
  World world;
  std::mutex lock;
  std::atomic<bool> is_over{false};
  std::vector<std::jthread> threads;
  for (const StopMode mode : {StopMode::poll, StopMode::signal, StopMode::poll, StopMode::signal}) {
    threads.emplace_back([&, mode] {
      Mutator mutator(world, mode);
      while (!is_over.load()) {
        {
          const std::lock_guard guard(lock);
          for (int i = 0; i < 2000; ++i) ++mutator.count;
          std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        if (mode == StopMode::poll) mutator.poll();
      }
      world.detach(mutator);
    });
  }
  while (world.size() != 4) std::this_thread::yield();
  std::size_t holding =
      0;  // how often somebody stood still with the lock; if never, nothing is shown
  for (std::size_t i = 0; i < scaled(3000) || holding == 0; ++i) {
    with_stopped(world, [&] {
      if (!lock.try_lock())
        ++holding;
      else
        lock.unlock();
    });
  }
  is_over = true;
}

}  // namespace
}  // namespace weir
