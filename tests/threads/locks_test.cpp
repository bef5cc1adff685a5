// A lock that threads of both kinds use, as they use malloc's: whoever polls may wait for one that
// a signal would stop, so it has to be stopped first.
#include <mutex>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

// ThreadSanitizer delivers a signal when the thread leaves pthread_mutex_lock, not while it waits
// there: with a second such thread, one waits for the lock of the other, and never stops.
#ifdef __SANITIZE_THREAD__
constexpr StopMode kThreads[] = {StopMode::poll, StopMode::signal, StopMode::poll};
#else
constexpr StopMode kThreads[] = {StopMode::poll, StopMode::signal, StopMode::poll,
                                 StopMode::signal};
#endif

TEST_CASE("a thread that polls may wait for a lock of one that a signal stops") {
  World world;
  std::mutex lock;
  std::atomic<bool> is_over{false};
  std::vector<std::jthread> threads;
  for (const StopMode mode : kThreads) {
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
  while (world.size() != std::size(kThreads)) std::this_thread::yield();
  // How often somebody stood still with the lock; if never, nothing is shown.
  std::size_t holding = 0;
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
