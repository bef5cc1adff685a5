// The graph oracle with several threads on one heap: each has a graph of its own, and any of them
// collects for all.
#include "tests/collector/graph.hpp"

using namespace weir::test;

TEST_CASE("51: threads that poll") {
  run_graphs({"2 threads that poll", 2, kPrecise, 0, false, 200'000});
  run_graphs({"8 threads that poll", 8, kPrecise, 0, true, 20'000});
  run_graphs({"32 threads that poll", 32, kConservative, 0, false, 10'000});
}

TEST_CASE("51: threads that signals stop") {
  run_graphs({"2 threads, signals", 2, kBySignal, 0, false, 200'000});
  run_graphs({"8 threads, signals", 8, kBySignal, 0, true, 20'000});
  run_graphs({"32 threads, signals", 32, kBySignal, 0, false, 10'000});
}

TEST_CASE("52: threads, and a collection at every n-th allocation") {
  run_graphs({"8 threads that poll, stress 7", 8, kPrecise, 7, true, 2'000});
  run_graphs({"8 threads, signals, stress 7", 8, kBySignal, 7, true, 2'000});
  run_graphs({"2 threads, signals, stress 1", 2, kBySignal, 1, true, 1'000});
}
