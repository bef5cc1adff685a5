// Weak references, ephemerons and finalizers, one by one.
#include <string>
#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

using namespace weir::test;

namespace {

struct Cell {
  Cell* next;
  void* value;
};

Cell* cell(weir_mutator* mutator, void* next) {
  auto* made = static_cast<Cell*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Cell)));
  REQUIRE(made != nullptr);
  made->next = static_cast<Cell*>(next);
  return made;
}

struct Finalized {
  std::vector<void*> objects;
  void** keep = nullptr;  // where the object is stored, which makes it reachable again
  bool allocates = false;
  bool collects = false;
};

void note(weir_mutator* mutator, void* object, void* data) {
  auto& finalized = *static_cast<Finalized*>(data);
  finalized.objects.push_back(object);
  if (finalized.keep != nullptr) *finalized.keep = object;
  if (finalized.allocates)
    for (int i = 0; i < 100'000; ++i)
      REQUIRE(weir_allocate(mutator, WEIR_KIND_SLOTS, 64) != nullptr);
  if (finalized.collects) CHECK(weir_collect(mutator) == WEIR_BUSY);
}

}  // namespace

TEST_CASE("58: weak references are cleared when the object dies, and not before") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = cell(mutator, nullptr);
  weir_weak* kept = nullptr;
  weir_weak* lost = nullptr;
  REQUIRE(weir_weak_create(mutator, frame[0], &kept) == WEIR_OK);
  REQUIRE(weir_weak_create(mutator, cell(mutator, nullptr), &lost) == WEIR_OK);
  CHECK(weir_weak_get(mutator, lost) != nullptr);
  collect(mutator);
  CHECK(weir_weak_get(mutator, kept) == frame[0]);
  CHECK(weir_weak_get(mutator, lost) == nullptr);
  frame[0] = nullptr;
  collect(mutator);
  CHECK(weir_weak_get(mutator, kept) == nullptr);
  CHECK(heap.statistics().weak_cells == 2);
  weir_weak_destroy(mutator, kept);
  weir_weak_destroy(mutator, lost);
  CHECK(heap.statistics().weak_cells == 0);
}

TEST_CASE("58: a chain of 100,000 ephemerons, however it is ordered, lives and dies at once") {
  constexpr std::size_t kLength = 100'000;
  for (const bool forward : {false, true}) {
    const TestHeap heap;
    const TestMutator mutator(heap, kPrecise);
    TestFrame<2> frame(mutator);
    std::vector<weir_ephemeron*> chain;
    // Each value is the key of the next. Created from the far end, every pass over the table would
    // find but one of them.
    frame[0] = cell(mutator, nullptr);
    weir_no_collect_begin(mutator);
    Cell* neighbour = static_cast<Cell*>(frame[0]);
    for (std::size_t i = 0; i < kLength; ++i) {
      Cell* fresh = cell(mutator, nullptr);
      weir_ephemeron* ephemeron = nullptr;
      Cell* key = forward ? neighbour : fresh;
      Cell* value = forward ? fresh : neighbour;
      REQUIRE(weir_ephemeron_create(mutator, key, value, &ephemeron) == WEIR_OK);
      chain.push_back(ephemeron);
      neighbour = fresh;
    }
    if (!forward) frame[0] = neighbour;
    weir_no_collect_end(mutator);
    collect(mutator);
    for (weir_ephemeron* ephemeron : chain)
      REQUIRE(weir_ephemeron_value(mutator, ephemeron) != nullptr);
    frame[0] = nullptr;
    collect(mutator);
    for (weir_ephemeron* ephemeron : chain) {
      REQUIRE(weir_ephemeron_key(mutator, ephemeron) == nullptr);
      REQUIRE(weir_ephemeron_value(mutator, ephemeron) == nullptr);
      weir_ephemeron_destroy(mutator, ephemeron);
    }
  }
}

TEST_CASE("58: an ephemeron whose value refers to its key does not keep it") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = cell(mutator, nullptr);
  weir_ephemeron* ephemeron = nullptr;
  REQUIRE(weir_ephemeron_create(mutator, frame[0], cell(mutator, frame[0]), &ephemeron) == WEIR_OK);
  collect(mutator);
  CHECK(weir_ephemeron_value(mutator, ephemeron) != nullptr);
  frame[0] = nullptr;
  collect(mutator);
  CHECK(weir_ephemeron_value(mutator, ephemeron) == nullptr);
  weir_ephemeron_destroy(mutator, ephemeron);
}

TEST_CASE("59: finalizers run once, in their order, with whole objects") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  Finalized finalized;
  std::vector<void*> expected;
  for (int i = 0; i < 100; ++i) {
    frame[0] = cell(mutator, frame[0]);
    expected.push_back(frame[0]);
    REQUIRE(weir_finalizer_set(mutator, frame[0], note, &finalized) == WEIR_OK);
  }
  collect(mutator);
  CHECK(weir_finalizers_due(heap) == 0);
  frame[0] = nullptr;
  collect(mutator);
  CHECK(weir_finalizers_due(heap) == 100);
  CHECK(weir_finalizers_run(mutator, 30) == 30);
  collect(mutator);  // those that wait are roots
  CHECK(weir_finalizers_run(mutator, 1000) == 70);
  CHECK(finalized.objects == expected);
  collect(mutator);
  CHECK(weir_finalizers_run(mutator, 1000) == 0);
  CHECK(heap.statistics().live_bytes == 0);
}

TEST_CASE("59: a finalizer that stores its object, one that allocates, one that is taken away") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  Finalized stores;
  stores.keep = &frame[0];
  REQUIRE(weir_finalizer_set(mutator, cell(mutator, nullptr), note, &stores) == WEIR_OK);
  collect(mutator);
  CHECK(weir_finalizers_run(mutator, 10) == 1);
  weir_object found;
  collect(mutator);
  CHECK(weir_object_at(mutator, frame[0], &found) == WEIR_OK);
  CHECK(weir_finalizers_run(mutator, 10) == 0);
  frame[0] = nullptr;

  Finalized allocates;
  allocates.allocates = allocates.collects = true;
  REQUIRE(weir_finalizer_set(mutator, cell(mutator, nullptr), note, &allocates) == WEIR_OK);
  collect(mutator);
  CHECK(weir_finalizers_run(mutator, 10) == 1);

  Finalized never;
  Cell* dying = cell(mutator, nullptr);
  REQUIRE(weir_finalizer_set(mutator, dying, note, &never) == WEIR_OK);
  REQUIRE(weir_finalizer_set(mutator, dying, nullptr, nullptr) == WEIR_OK);
  collect(mutator);
  CHECK(weir_finalizers_run(mutator, 10) == 0);
}

TEST_CASE("59: what is registered runs at the end of the heap, if so wanted") {
  for (const bool wanted : {false, true}) {
    Finalized finalized;
    weir_heap* heap = nullptr;
    const weir_config config = small_heap();
    REQUIRE(weir_heap_create(&config, &heap) == WEIR_OK);
    {
      const TestMutator mutator(heap, kPrecise);
      REQUIRE(weir_finalizer_set(mutator, cell(mutator, nullptr), note, &finalized) == WEIR_OK);
    }
    REQUIRE(weir_heap_destroy(heap, wanted) == WEIR_OK);
    CHECK(finalized.objects.size() == (wanted ? 1 : 0));
  }
}

TEST_CASE("61: a list of ten million is marked without a deep stack") {
  const std::size_t length = tier() <= Tier::quick ? 1'000'000 : 10'000'000;
  weir_config config = small_heap();
  config.maximum_bytes = std::size_t{2} << 30;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  for (std::size_t i = 0; i < length; ++i) frame[0] = cell(mutator, frame[0]);
  collect(mutator);
  std::size_t count = 0;
  for (Cell* at = static_cast<Cell*>(frame[0]); at != nullptr; at = at->next) ++count;
  CHECK(count == length);
  CHECK(heap.statistics().live_bytes == length * sizeof(Cell));
}

TEST_CASE("who keeps this alive: a path from a root, step by step") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  Cell* end = cell(mutator, nullptr);
  Cell* middle = cell(mutator, end);
  frame[0] = cell(mutator, middle);
  std::vector<weir_path_step> steps;
  const auto visit = [](const weir_path_step* step, void* data) {
    static_cast<std::vector<weir_path_step>*>(data)->push_back(*step);
  };
  REQUIRE(weir_path_to(mutator, end, visit, &steps) == WEIR_OK);
  REQUIRE(steps.size() == 3);
  CHECK(std::string(steps[0].root) == "a frame");
  CHECK(steps[0].object.start == frame[0]);
  CHECK(steps[1].object.start == middle);
  CHECK(steps[1].slot == frame[0]);
  CHECK(steps[2].object.start == end);
  CHECK(steps[2].root == nullptr);
  Cell* garbage = cell(mutator, nullptr);
  CHECK(weir_path_to(mutator, garbage, visit, &steps) == WEIR_NOT_FOUND);
}
