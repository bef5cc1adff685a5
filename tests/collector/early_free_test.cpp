// Memory that the program frees and reallocates by itself, besides what collections do.
#include <weir/weir.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

bool is_found(weir_mutator* mutator, const void* address) {
  weir_object found;
  return weir_object_at(mutator, address, &found) == WEIR_OK;
}

}  // namespace

TEST_CASE("the object allocated last gives its memory to the next, zeroed") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  for (const weir_kind kind : {WEIR_KIND_CONSERVATIVE, WEIR_KIND_LEAF, WEIR_KIND_SLOTS}) {
    for (const std::size_t bytes : {16u, 48u, 1000u, 8192u}) {
      auto* first = static_cast<char*>(weir_allocate(mutator, kind, bytes));
      std::memset(first, 0xaa, bytes);
      REQUIRE(weir_free_early(mutator, first) == WEIR_OK);
      CHECK_FALSE(is_found(mutator, first));
      CHECK(weir_free_early(mutator, first) == WEIR_INVALID_ARGUMENT);
      auto* second = static_cast<char*>(weir_allocate(mutator, kind, bytes));
      CHECK(second == first);
      CHECK(second[0] == 0);
      CHECK(std::memcmp(second, second + 1, bytes - 1) == 0);
    }
  }
}

TEST_CASE("what comes in its place may be larger, and is one object") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  for (int round = 0; round < 100; ++round) {
    auto* first = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_SLOTS, 48));
    REQUIRE(is_found(mutator, first));
    REQUIRE(weir_free_early(mutator, first) == WEIR_OK);
    auto* second = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_SLOTS, 400));
    weir_object found{};
    REQUIRE(weir_object_at(mutator, second + 390, &found) == WEIR_OK);
    CHECK(found.start == second);
    CHECK(found.size >= 400);
  }
}

TEST_CASE("any other is no object any more, whatever refers to it") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  void* freed = weir_allocate(mutator, WEIR_KIND_SLOTS, 64);
  frame[0] = freed;
  void* behind = weir_allocate(mutator, WEIR_KIND_SLOTS, 64);
  REQUIRE(weir_free_early(mutator, freed) == WEIR_OK);
  CHECK_FALSE(is_found(mutator, freed));
  CHECK(is_found(mutator, behind));
  collect(mutator);
  CHECK_FALSE(is_found(mutator, freed));
}

TEST_CASE("the pages of a large object are used again at once") {
  weir_config config = small_heap();
  config.maximum_bytes = 16 * kMiB;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  weir_no_collect_begin(mutator);
  for (const std::size_t bytes : {std::size_t{9000}, std::size_t{100'000}, 3 * kMiB})
    for (int i = 0; i < 5000; ++i) {
      void* object = weir_allocate(mutator, WEIR_KIND_CONSERVATIVE, bytes);
      REQUIRE(object != nullptr);
      REQUIRE(weir_free_early(mutator, object) == WEIR_OK);
    }
  weir_no_collect_end(mutator);
  CHECK(heap.statistics().heap_bytes <= 4 * kMiB);
}

TEST_CASE("large objects that are freed early leave nothing behind") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  std::size_t metadata = 0;
  for (int round = 0; round < 20'000; ++round) {
    void* object = weir_allocate(mutator, WEIR_KIND_LEAF, 20'000);
    REQUIRE(object != nullptr);
    REQUIRE(weir_free_early(mutator, object) == WEIR_OK);
    if (round == 100) metadata = heap.statistics().metadata_bytes;
  }
  CHECK(heap.statistics().metadata_bytes == metadata);
}

TEST_CASE("old large objects that are freed early do not count as alive") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = weir_allocate(mutator, WEIR_KIND_LEAF, 8 * kMiB);
  REQUIRE(weir_collect(mutator) == WEIR_OK);
  REQUIRE(heap.statistics().live_bytes >= 8 * kMiB);
  REQUIRE(weir_free_early(mutator, std::exchange(frame[0], nullptr)) == WEIR_OK);
  REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
  CHECK(heap.statistics().live_bytes < kMiB);
}

TEST_CASE("what another mutator has just allocated may be freed while it goes on") {
  weir_config config = small_heap();
  config.verify = true;
  const TestHeap heap(config);
  // Somebody refers to it at all times, until it is freed.
  enum class Hand { empty, given, taken, let_go };
  std::atomic<Hand> hand{Hand::empty};
  std::atomic<void*> handed{nullptr};
  std::atomic<bool> is_over{false};
  std::atomic<int> failed{0};
  std::thread freeing([&] {
    const TestMutator mutator(heap, kPrecise);
    TestFrame<1> frame(mutator);
    while (!is_over.load()) {
      weir_poll(mutator);
      if (hand.load() == Hand::given) {
        frame[0] = handed.load();
        hand.store(Hand::taken);
      } else if (hand.load() == Hand::let_go) {
        if (weir_free_early(mutator, std::exchange(frame[0], nullptr)) != WEIR_OK) ++failed;
        hand.store(Hand::empty);
      }
    }
  });
  {
    const TestMutator mutator(heap, kPrecise);
    TestFrame<2> frame(mutator);
    Random random(seed_for("handed over"));
    std::uint64_t count = 0;
    const std::size_t rounds = scaled(200'000);
    for (std::size_t i = 0; i < rounds; ++i) {
      void* given = weir_allocate(mutator, WEIR_KIND_LEAF, 16);
      if (hand.load() == Hand::empty) {
        frame[1] = given;
        handed.store(given);
        hand.store(Hand::given);
      } else if (hand.load() == Hand::taken) {
        frame[1] = nullptr;
        hand.store(Hand::let_go);
      }
      // Its neighbour stays, and is the last of a list.
      auto** node = static_cast<void**>(
          weir_allocate(mutator, random() % 2 != 0 ? WEIR_KIND_SLOTS : WEIR_KIND_CONSERVATIVE, 16));
      node[0] = frame[0];
      weir_write_barrier(mutator, node, &node[0]);
      frame[0] = node;
      if (++count == 1000) {
        std::uint64_t length = 0;
        for (auto** at = static_cast<void**>(frame[0]); at != nullptr;
             at = static_cast<void**>(at[0]))
          ++length;
        REQUIRE(length == count);
        count = 0;
        frame[0] = nullptr;
        if (random() % 8 == 0) REQUIRE(weir_collect(mutator) == WEIR_OK);
      }
    }
    while (hand.load() != Hand::empty) {
      weir_poll(mutator);
      if (hand.load() == Hand::taken) {
        frame[1] = nullptr;
        hand.store(Hand::let_go);
      }
    }
    is_over.store(true);
  }
  freeing.join();
  CHECK(failed.load() == 0);
}

TEST_CASE("only what starts an object is freed or reallocated") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  auto* object = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_LEAF, 64));
  int elsewhere = 0;
  for (void* address : {static_cast<void*>(object + 16), static_cast<void*>(&elsewhere)}) {
    CHECK(weir_free_early(mutator, address) == WEIR_INVALID_ARGUMENT);
    CHECK(weir_reallocate(mutator, address, 100) == nullptr);
  }
  CHECK(is_found(mutator, object));
}

TEST_CASE("reallocation keeps contents and kind, and the object where it has room") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  std::size_t bytes = 16;
  auto* object = static_cast<unsigned char*>(weir_allocate(mutator, WEIR_KIND_LEAF, bytes));
  frame[0] = object;
  std::memset(object, 7, bytes);
  const auto resize = [&](std::size_t to) {
    auto* moved = static_cast<unsigned char*>(weir_reallocate(mutator, object, to));
    REQUIRE(moved != nullptr);
    frame[0] = moved;
    for (std::size_t i = 0; i < std::min(bytes, to); ++i) REQUIRE(moved[i] == 7);
    weir_object found{};
    REQUIRE(weir_object_at(mutator, moved, &found) == WEIR_OK);
    CHECK(found.kind == WEIR_KIND_LEAF);
    CHECK(found.size >= to);
    std::memset(moved, 7, to);
    bytes = to;
    return std::exchange(object, moved) == moved;
  };
  CHECK(resize(10));
  while (bytes < 2 * kMiB) CHECK_FALSE(resize(bytes * 2 + 7));
  CHECK(resize(bytes - bytes / 3));
  while (bytes > 100) CHECK_FALSE(resize(bytes / 5));
}

TEST_CASE("random growth, shrinking, freeing and stores under every barrier, verified") {
  for (const weir_barrier barrier : kBarriers) {
    weir_config config = small_heap();
    config.barrier = barrier;
    config.accept_efault = true;
    config.verify = true;
    config.stress = 50;
    if (!TestHeap::can_be_made(config)) continue;
    const TestHeap heap(config);
    const TestMutator mutator(heap, kPrecise);
    constexpr std::size_t kTables = 40;
    TestFrame<kTables> frame(mutator);
    std::vector<std::size_t> sizes(kTables, 0);
    Random random(seed_for("early free"));
    for (std::size_t step = 0; step < scaled(20'000); ++step) {
      const std::size_t at = random() % kTables;
      auto** table = static_cast<void**>(frame[at]);
      if (table == nullptr || random() % 4 == 0) {
        const std::size_t size = 1 + random() % (random() % 10 == 0 ? 3000 : 40);
        frame[at] = table == nullptr
                        ? weir_allocate(mutator, WEIR_KIND_CONSERVATIVE, size * sizeof(void*))
                        : weir_reallocate(mutator, table, size * sizeof(void*));
        REQUIRE(frame[at] != nullptr);
        sizes[at] = size;
      } else if (random() % 8 == 0) {
        frame[at] = nullptr;
        REQUIRE(weir_free_early(mutator, table) == WEIR_OK);
      } else {
        void* leaf = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
        void** slot = table + random() % sizes[at];
        *slot = leaf;
        weir_write_barrier(mutator, table, slot);
      }
    }
  }
}
