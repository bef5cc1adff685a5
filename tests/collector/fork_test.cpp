// A forked child in which a thread that had been a mutator before becomes one again.
#include <atomic>
#include <thread>

#include "tests/collector/rig.hpp"
#include "tests/os/child.hpp"

#ifndef __SANITIZE_THREAD__  // which cannot fork a process with threads

using namespace weir::test;

TEST_CASE("63: in a forked child stop signals reach the thread, whatever it was before") {
  {
    const TestHeap heap;
    const TestMutator before(heap, kBySignal);
  }
  const ChildResult child = in_child([](const auto&) {
    const TestHeap heap;
    const TestMutator mutator(heap, kBySignal);
    std::atomic<bool> is_done = false;
    std::thread other([&] {
      const TestMutator collecting(heap, kPrecise);
      for (int i = 0; i < 20; ++i) collect(collecting);
      is_done = true;
    });
    while (!is_done) (void)weir_allocate(mutator, WEIR_KIND_LEAF, 64);
    weir_enter_blocking(mutator);
    other.join();
    weir_leave_blocking(mutator);
    return 0;
  });
  CHECK(child.exit_code == 0);
}

#endif
