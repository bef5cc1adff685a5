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

TEST_CASE("what was written of old memory is told: pages, blocks, and the kind of the collection") {
  CollectedHeap rig;
  if (rig.heap.barrier() == std::string("none")) return;
  constexpr std::size_t kNodes = 4 * 64 * 1024 / 32;
  Local<Node> list(rig.mutator);
  for (std::size_t i = 0; i < kNodes; ++i) list = rig.mutator.make(rig.node, list.get());
  must(rig.mutator.collect());
  const weir_statistics old = rig.heap.statistics();
  CHECK(old.pages_armed > 0);
  CHECK(old.nursery_bytes > 0);
  bool any_armed = false;
  rig.mutator.for_each_block([&](const weir_block& block) {
    CHECK_FALSE((block.young && block.armed));
    any_armed = any_armed || block.armed;
  });
  CHECK(any_armed);

  list->other = rig.mutator.make(rig.node);
  weir_write_barrier(rig.mutator.get(), list.get(), &list->other);
  must(checked(weir_collect_minor(rig.mutator.get())));
  const weir_statistics now = rig.heap.statistics();
  CHECK(now.minor_collections == old.minor_collections + 1);
  CHECK(now.full_collections == old.full_collections);
  CHECK(now.pages_dirty + now.pages_hot > 0);
  CHECK(now.minor_pause_ns_max > 0);
  const bool traps = rig.heap.barrier() == std::string("mprotect") ||
                     std::string(rig.heap.barrier()).starts_with("uffd");
  CHECK((now.traps > 0) == traps);
}
