// The graph oracle: a random mutator against a shadow of its graph; verified and not, and with a
// collection at every n-th allocation.
#include "tests/collector/graph.hpp"

using namespace weir::test;

TEST_CASE("51: all that is reachable is intact, all else is gone within one collection") {
  run_graphs({"graph, precise", 1, kPrecise, 0, false, 600'000});
  run_graphs({"graph, verified", 1, kPrecise, 0, true, 100'000});
  run_graphs({"graph, conservative", 1, kConservative, 0, true, 100'000});
  run_graphs({"graph, stopped by signals", 1, kBySignal, 0, true, 100'000});
}

TEST_CASE("51, 52: a collection at every n-th allocation") {
  run_graphs({"graph, stress 1000", 1, kPrecise, 1000, true, 100'000});
  run_graphs({"graph, stress 7", 1, kPrecise, 7, true, 10'000});
  run_graphs({"graph, stress 1", 1, kPrecise, 1, true, 2'000});
}
