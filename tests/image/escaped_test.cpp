// What the collector knows of images: references that lead out of them keep objects alive, under
// every barrier, and nothing is inflated to find them.
#include <weir/barrier.hpp>

#include "tests/image/oracle.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kObjects = 20'000;

weir_config verified(weir_barrier barrier) {
  weir_config config = small_heap();
  config.verify = true;
  config.barrier = barrier;
  return config;
}

// Stores into a slot as a program with any barrier does.
void store(weir_mutator* mutator, void* object, std::size_t word, void* value) {
  void** slot = static_cast<void**>(object) + word;
  *slot = value;
  weir_write_barrier(mutator, object, slot);
}

// A list of cells with their number, reachable from a slot of an image object.
void* make_list(weir_mutator* mutator, std::size_t length) {
  TestFrame<1> frame(mutator);
  for (std::size_t i = 0; i < length; ++i) {
    auto* cell = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 32));
    cell[0] = frame[0];
    cell[2] = reinterpret_cast<void*>(i + 1);
    frame[0] = cell;
  }
  return frame[0];
}

void check_list(void* first, std::size_t length) {
  for (std::size_t i = length; i > 0; --i) {
    REQUIRE(first != nullptr);
    auto** cell = static_cast<void**>(first);
    REQUIRE(cell[2] == reinterpret_cast<void*>(i));
    first = cell[0];
  }
  REQUIRE(first == nullptr);
}

void minor(weir_mutator* mutator) {
  REQUIRE_MESSAGE(weir_collect_minor(mutator) == WEIR_OK, weir_error_message());
}

template <class Body>
void for_each_barrier(const char* name, Body body) {
  const OracleGraph graph({.objects = kObjects, .seed = seed_for(name)});
  std::vector<weir_config> configs;
  for (const weir_barrier barrier : kBarriers) configs.push_back(verified(barrier));
  // The classical set-up, and no generations at all.
  configs.push_back(verified(WEIR_BARRIER_UFFD_THREAD));
  configs.back().arena = WEIR_ARENA_MISSING_WP;
  configs.push_back(verified(WEIR_BARRIER_AUTO));
  configs.back().generations = false;
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const TestPath path("image");
    save_graph(graph, path, cluster_bytes);
    unsigned ran = 0;
    for (const weir_config& config : configs) {
      CAPTURE(static_cast<int>(config.barrier));
      CAPTURE(static_cast<int>(config.arena));
      CAPTURE(config.generations);
      if (!TestHeap::can_be_made(config)) continue;
      const TestHeap heap(config);
      const Kinds kinds(heap);
      const TestMutator mutator(heap, kPrecise);
      weir_image* image = open_image(heap, path);
      body(heap, mutator, image, graph);
      ++ran;
    }
    CHECK(ran >= 4);
  }
}

}  // namespace

TEST_CASE("71: a young object stored into an image page lives on, and so do chains of them") {
  for_each_barrier("escaped",
                   [](weir_heap*, weir_mutator* mutator, weir_image* image, const OracleGraph&) {
                     auto** table = static_cast<void**>(root_of(image));
                     for (const std::size_t at : {std::size_t{7}, kObjects / 2, kObjects - 1}) {
                       void* const before = table[at];
                       store(mutator, table, at, make_list(mutator, 100));
                       minor(mutator);
                       check_list(table[at], 100);
                       collect(mutator);
                       check_list(table[at], 100);  // the page was clean in this cycle
                       collect(mutator);
                       check_list(table[at], 100);
                       CHECK(statistics_of(image).escaped_pages > 0);
                       // A chain: the last cell refers into the image again, where another young
                       // list hangs.
                       auto** first = static_cast<void**>(table[at]);
                       auto** holder = static_cast<void**>(table[at - 1]);
                       void* const held = holder[2];
                       store(mutator, first, 1, holder);
                       store(mutator, holder, 2, make_list(mutator, 50));
                       minor(mutator);
                       minor(mutator);
                       check_list(holder[2], 50);
                       collect(mutator);
                       check_list(static_cast<void**>(first[1])[2], 50);
                       // Out of the image again.
                       store(mutator, holder, 2, held);
                       store(mutator, table, at, before);
                       collect(mutator);
                       CHECK(statistics_of(image).escaped_pages == 0);
                     }
                   });
}

// Of a large object, its first cluster comes with any other of it, and no more.
TEST_CASE("71: stored into an object whose middle is not there, a young object lives on") {
  for_each_barrier("escaped behind a gap", [](weir_heap*, weir_mutator* mutator, weir_image* image,
                                              const OracleGraph& graph) {
    auto** table = static_cast<void**>(root_of(image));
    void* const before = table[kObjects - 1];
    CHECK(statistics_of(image).filled_clusters == 2);
    store(mutator, table, kObjects - 1, make_list(mutator, 100));
    minor(mutator);
    check_list(table[kObjects - 1], 100);
    collect(mutator);
    check_list(table[kObjects - 1], 100);
    collect(mutator);
    check_list(table[kObjects - 1], 100);
    CHECK(statistics_of(image).filled_clusters == 2);
    store(mutator, table, kObjects - 1, before);
    graph.check(table);
  });
}

TEST_CASE("69: collections inflate nothing, whatever the barrier") {
  for_each_barrier("lazy stays lazy", [](weir_heap*, weir_mutator* mutator, weir_image* image,
                                         const OracleGraph& graph) {
    for (int i = 0; i < 5; ++i) {
      collect(mutator);
      minor(mutator);
    }
    CHECK(statistics_of(image).filled_clusters == 0);
    const void* table = root_of(image);
    graph.check_object(table, 0);
    graph.check_object(table, kObjects / 3);
    auto** object = static_cast<void**>(*static_cast<void* const*>(table));
    store(mutator, object, 2, make_list(mutator, 10));
    const std::uint64_t filled = statistics_of(image).filled_clusters;
    CHECK(filled >= 2);
    CHECK(filled < statistics_of(image).clusters);
    for (int i = 0; i < 5; ++i) {
      minor(mutator);
      collect(mutator);
      check_list(object[2], 10);
    }
    CHECK(statistics_of(image).filled_clusters == filled);
  });
}

TEST_CASE("weak references, ephemerons, finalizers and lookups know objects of images") {
  for_each_barrier("tables", [](weir_heap* heap, weir_mutator* mutator, weir_image* image,
                                const OracleGraph&) {
    auto** table = static_cast<void**>(root_of(image));
    TestFrame<1> frame(mutator);
    weir_object found;
    REQUIRE(weir_object_at(mutator, table, &found) == WEIR_OK);
    CHECK(found.start == table);
    CHECK(found.size == kObjects * sizeof(void*));
    CHECK(found.kind == WEIR_KIND_SLOTS);
    REQUIRE(weir_object_at(mutator, table + kObjects - 1, &found) == WEIR_OK);
    CHECK(found.start == table);
    CHECK(found.size == kObjects * sizeof(void*));
    REQUIRE(weir_object_at(mutator, static_cast<char*>(table[5]) + 17, &found) == WEIR_OK);
    CHECK(found.start == table[5]);

    weir_weak* weak = nullptr;
    REQUIRE(weir_weak_create(mutator, table[3], &weak) == WEIR_OK);
    weir_ephemeron* ephemeron = nullptr;
    frame[0] = make_list(mutator, 5);
    REQUIRE(weir_ephemeron_create(mutator, table[4], frame[0], &ephemeron) == WEIR_OK);
    frame[0] = nullptr;
    const auto never = [](weir_mutator*, void*, void*) { FAIL("an image object was finalized"); };
    REQUIRE(weir_finalizer_set(mutator, table[6], never, nullptr) == WEIR_OK);
    REQUIRE(weir_pin(heap, table[8], 16) == WEIR_OK);
    minor(mutator);
    collect(mutator);
    collect(mutator);
    CHECK(weir_weak_get(mutator, weak) == table[3]);
    CHECK(weir_ephemeron_key(mutator, ephemeron) == table[4]);
    check_list(weir_ephemeron_value(mutator, ephemeron), 5);
    CHECK(weir_finalizers_due(heap) == 0);
    CHECK(weir_free(mutator, table[8]) == WEIR_INVALID_ARGUMENT);
    REQUIRE(weir_unpin(heap, table[8], 16) == WEIR_OK);
    weir_weak_destroy(mutator, weak);
    weir_ephemeron_destroy(mutator, ephemeron);
    CHECK(weir_identity_hash(heap, table[1]) != weir_identity_hash(heap, table[2]));
  });
}
