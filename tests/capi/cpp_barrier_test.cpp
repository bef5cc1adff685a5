// What a heap says of its write barrier.
#include <cstring>
#include <string>

#include "tests/capi/cpp_rig.hpp"

using namespace weir;
using namespace weir::test;

TEST_CASE("a heap names its barrier, and each reason has a name and a sentence") {
  const CollectedHeap rig;
  CHECK(std::strlen(rig.heap.barrier()) > 0);
  rig.heap.for_each_barrier_reason([](const std::string& barrier, const std::string& reason) {
    CHECK(!barrier.empty());
    CHECK(reason.size() > 20);
  });
}

TEST_CASE("minor and full collections add up") {
  CollectedHeap rig;
  must(rig.mutator.collect());
  must(rig.mutator.collect());
  const weir_statistics statistics = rig.heap.statistics();
  CHECK(statistics.full_collections == 2);
  CHECK(statistics.minor_collections + statistics.full_collections == statistics.collections);
  CHECK(statistics.full_pause_ns_max > 0);
  CHECK(statistics.full_pause_ns_max <= statistics.pause_ns_max);
  CHECK(statistics.full_pause_ns_p50 <= statistics.full_pause_ns_p99);
}
