// Save, reopen, compare with the oracle: at the same address and at another one; what the collector
// does with images meanwhile.
#include <memory>

#include "tests/image/oracle.hpp"

using namespace weir::test;

namespace {

weir_config verified() {
  weir_config config = small_heap();
  config.verify = true;
  return config;
}

void save_graph(const OracleGraph& graph, const TestPath& path, const weir_config& config,
                std::size_t cluster_bytes) {
  const TestHeap heap(config);
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = graph.build(mutator, kinds);
  save(mutator, path, frame[0], "table", cluster_bytes);
  graph.check(frame[0]);  // and the heap goes on
  collect(mutator);
  REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
  graph.check(frame[0]);
}

}  // namespace

TEST_CASE("65: a graph comes back as it was, at its own address") {
  const OracleGraph graph({.objects = 5000, .seed = seed_for("round trip, same address")});
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const TestPath path("image");
    save_graph(graph, path, verified(), cluster_bytes);
    const TestHeap heap(verified());
    const Kinds kinds(heap);
    const TestMutator mutator(heap, kPrecise);
    weir_image* image = open_image(heap, path);
    CHECK(statistics_of(image).cluster_bytes == cluster_bytes);
    CHECK(statistics_of(image).filled_clusters == 0);
    graph.check(root_of(image));
    CHECK(statistics_of(image).filled_clusters > 10);
    collect(mutator);
    graph.check(root_of(image));
  }
}

TEST_CASE("65: at another address, where everything refers to where it is now") {
  const OracleGraph graph({.objects = 5000, .seed = seed_for("round trip, other address")});
  const TestHeap first(verified());  // stays, and with it its addresses
  const Kinds first_kinds(first);
  const TestMutator first_mutator(first, kPrecise);
  TestFrame<1> frame(first_mutator);
  frame[0] = graph.build(first_mutator, first_kinds);
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const TestPath path("image");
    save(first_mutator, path, frame[0], "table", cluster_bytes);
    const TestHeap heap(verified());
    const Kinds kinds(heap);
    const TestMutator mutator(heap, kPrecise);
    weir_image* image = open_image(heap, path);
    CHECK(!statistics_of(image).at_saved_address);
    CHECK(root_of(image) != frame[0]);
    graph.check(root_of(image));
    graph.check(frame[0]);
    // Identity survives.
    CHECK(weir_identity_hash(heap, root_of(image)) == weir_identity_hash(first, frame[0]));
  }
}

TEST_CASE("65: conservative objects open at their own address only") {
  const OracleGraph graph(
      {.objects = 2000, .conservative = true, .seed = seed_for("round trip, conservative")});
  const TestPath path("image");
  {
    const TestHeap first(small_heap());
    const Kinds first_kinds(first);
    const TestMutator mutator(first, kPrecise);
    TestFrame<1> frame(mutator);
    frame[0] = graph.build(mutator, first_kinds);
    save(mutator, path, frame[0]);
    const TestHeap second(small_heap());
    const Kinds kinds(second);
    weir_image* image = nullptr;
    CHECK(weir_image_open(second, path.c_str(), nullptr, &image) == WEIR_BUSY);
    CHECK(std::string(weir_error_message()).find("its own address") != std::string::npos);
  }
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  weir_image* image = nullptr;
  if (weir_image_open(heap, path.c_str(), nullptr, &image) != WEIR_OK) return;  // taken by then
  CHECK(statistics_of(image).at_saved_address);
  graph.check(root_of(image));
}
