// The graph oracle under every barrier, with minor and full collections, verified: after each minor
// one all that an always-dirty barrier would have led to is marked, and the pages that the barrier
// reported contain the cards that the program marked.
#include <string>
#include <weir/barrier.hpp>

#include "tests/collector/graph.hpp"

using namespace weir;
using namespace weir::test;

namespace {

const char* name_of(weir_barrier barrier) {
  return weir::name_of(kBarrierKinds[static_cast<std::size_t>(barrier) - 1]);
}

bool run(const std::string& what, weir_barrier barrier, GraphRun how) {
  const std::string name = std::string(name_of(barrier)) + ", " + what;
  how.name = name.c_str();
  how.barrier = barrier;
  return run_graphs(how);
}

}  // namespace

TEST_CASE("51, 52, 54: graphs under every barrier") {
  unsigned ran = 0;
  for (const weir_barrier barrier : kBarriers) {
    if (!run("verified", barrier, {"", 1, kPrecise, 0, true, 12'000})) continue;
    ++ran;
    run("fast", barrier, {"", 1, kPrecise, 0, false, 40'000});
    run("stress 7", barrier, {"", 1, kPrecise, 7, true, 4'000});
    run("stress 1", barrier, {"", 1, kPrecise, 1, true, 1'000});
  }
  CHECK(ran >= 4);
}

TEST_CASE("52: threads in the middle of a store, under every barrier") {
  for (const weir_barrier barrier : kBarriers) {
    if (!run("2 threads that poll", barrier, {"", 2, kPrecise, 0, true, 8'000})) continue;
    run("2 threads, signals", barrier, {"", 2, kBySignal, 0, true, 8'000});
    run("2 threads, signals, stress 1", barrier, {"", 2, kBySignal, 1, true, 400});
    run("8 threads, signals", barrier, {"", 8, kBySignal, 0, false, 4'000});
  }
}

TEST_CASE("52: the classical set-up: pages come by faults, and writes are faults") {
  for (const weir_barrier barrier :
       {WEIR_BARRIER_UFFD_THREAD, WEIR_BARRIER_UFFD_SIGBUS, WEIR_BARRIER_ASYNC}) {
    if (!run("missing-wp", barrier,
             {"", 1, kPrecise, 0, true, 8'000, barrier, WEIR_ARENA_MISSING_WP}))
      continue;
    run("missing-wp, signals", barrier,
        {"", 2, kBySignal, 0, true, 4'000, barrier, WEIR_ARENA_MISSING_WP});
    run("missing-wp, stress 7", barrier,
        {"", 1, kPrecise, 7, true, 2'000, barrier, WEIR_ARENA_MISSING_WP});
  }
}
