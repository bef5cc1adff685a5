// Objects of all sizes: where they lie, what any address inside them finds, and that their memory
// is zero; walks; pins; memory given back.
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

bool is_zero(const void* memory, std::size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(memory);
  return bytes == 0 || (at[0] == 0 && std::memcmp(at, at + 1, bytes - 1) == 0);
}

void check_found(weir_mutator* mutator, void* object, std::size_t bytes, weir_kind kind,
                 std::size_t step) {
  for (std::size_t offset = 0; offset < bytes; offset += step) {
    weir_object found{};
    REQUIRE(weir_object_at(mutator, static_cast<char*>(object) + offset, &found) == WEIR_OK);
    REQUIRE(found.start == object);
    REQUIRE(found.size >= bytes);
    REQUIRE(found.size < bytes + 2 * WEIR_GRANULE);
    REQUIRE(found.kind == kind);
  }
}

}  // namespace

TEST_CASE("55: sizes around every boundary: zeroed, aligned, found from any address inside") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  weir_kind kind = 0;
  weir_kind_config config{};
  config.name = "a leaf";
  config.tracing = WEIR_TRACE_LEAF;
  REQUIRE(weir_kind_define(heap, &config, &kind) == WEIR_OK);
  for (const weir_kind used : {WEIR_KIND_SLOTS, WEIR_KIND_LEAF, kind})
    for (const std::size_t bytes :
         {1,    15,   16,   17,   31,   32,     33,     255,    256,    4095,
          4096, 4097, 8191, 8192, 8193, 12'288, 65'535, 65'536, 65'537, 300'000}) {
      for (int round = 0; round < 20; ++round) {
        void* object = weir_allocate(mutator, used, bytes);
        REQUIRE(object != nullptr);
        REQUIRE(reinterpret_cast<std::uintptr_t>(object) % WEIR_GRANULE == 0);
        REQUIRE(is_zero(object, bytes));
        check_found(mutator, object, bytes, used, bytes > 10'000 ? 997 : 1);
        if (used != WEIR_KIND_SLOTS) std::memset(object, 0xaa, bytes);
      }
      collect(mutator);
    }
}

TEST_CASE("55: the first and the last granule of a block") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  std::set<std::uintptr_t> offsets;
  for (int i = 0; i < 3 * 4096; ++i) {
    auto* object = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_LEAF, 16));
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(object) % 65'536;
    offsets.insert(offset);
    if (offset == 0 || offset == 65'520) check_found(mutator, object, 16, WEIR_KIND_LEAF, 1);
  }
  CHECK(offsets.contains(0));
  CHECK(offsets.contains(65'520));
}

TEST_CASE("55: an array of 1 GiB, its last slot, and its death") {
  if (tier() <= Tier::quick) return;
  weir_config config = small_heap();
  config.maximum_bytes = 3000 * kMiB;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  constexpr std::size_t kSlots = 1024 * kMiB / sizeof(void*);
  auto** array =
      static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, kSlots * sizeof(void*)));
  REQUIRE(array != nullptr);
  frame[0] = array;
  array[0] = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
  array[kSlots - 1] = weir_allocate(mutator, WEIR_KIND_LEAF, 48);
  collect(mutator);
  check_found(mutator, array[0], 32, WEIR_KIND_LEAF, 1);
  check_found(mutator, array[kSlots - 1], 48, WEIR_KIND_LEAF, 1);
  weir_object found{};
  REQUIRE(weir_object_at(mutator, &array[kSlots - 1], &found) == WEIR_OK);
  CHECK(found.start == array);
  CHECK(heap.statistics().live_bytes == kSlots * sizeof(void*) + 80);
  frame[0] = nullptr;
  collect(mutator);
  CHECK(heap.statistics().live_bytes == 0);
  CHECK(weir_heap_trim(heap) >= 1024 * kMiB);
}

TEST_CASE("alignments up to 2 MiB, small and large") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  Random random(seed_for("alignments"));
  for (std::size_t i = 0; i < scaled(4000); ++i) {
    const std::size_t alignment = std::size_t{16} << random() % 18;
    const std::size_t bytes = 1 + random() % (random() % 8 == 0 ? 200'000 : 4000);
    void* object = weir_allocate_aligned(mutator, WEIR_KIND_LEAF, bytes, alignment);
    REQUIRE(object != nullptr);
    REQUIRE(reinterpret_cast<std::uintptr_t>(object) % alignment == 0);
    REQUIRE(is_zero(object, bytes));
    std::memset(object, 0x77, bytes);
  }
}

TEST_CASE("a walk visits exactly the live objects") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<64> frame(mutator);
  Random random(seed_for("walk"));
  for (std::size_t i = 0; i < 5000; ++i)
    frame[random() % 64] = weir_allocate(mutator, WEIR_KIND_LEAF, 1 + random() % 20'000);
  std::set<void*> expected;
  for (std::size_t i = 0; i < 64; ++i)
    if (frame[i] != nullptr) expected.insert(frame[i]);
  std::set<void*> visited;
  const auto visit = [](const weir_object* object, void* data) {
    return static_cast<std::set<void*>*>(data)->insert(object->start).second;
  };
  REQUIRE(weir_heap_walk(mutator, visit, &visited) == WEIR_OK);
  CHECK(visited == expected);
}

TEST_CASE("pinned memory is kept, as often as it was pinned") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  auto* buffer = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_LEAF, 100));
  REQUIRE(weir_pin(heap, buffer + 10, 50) == WEIR_OK);
  REQUIRE(weir_pin(heap, buffer + 60, 40) == WEIR_OK);
  weir_object found{};
  for (int pins = 2; pins > 0; --pins) {
    collect(mutator);
    REQUIRE(weir_object_at(mutator, buffer, &found) == WEIR_OK);
    REQUIRE(weir_unpin(heap, buffer, 100) == WEIR_OK);
  }
  CHECK(weir_unpin(heap, buffer, 100) == WEIR_NOT_FOUND);
  collect(mutator);
  CHECK(weir_object_at(mutator, buffer, &found) == WEIR_NOT_FOUND);
  CHECK(weir_pin(heap, &found, 1) == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("a stale word that points at an object dead for several cycles revives nothing") {
  weir_config config = small_heap();
  config.verify = true;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  std::uintptr_t stale[64] = {};
  REQUIRE(weir_roots_add_conservative(heap, stale, sizeof stale) == WEIR_OK);
  Random random(seed_for("stale words"));
  for (std::size_t round = 0; round < scaled(300); ++round) {
    std::vector<void*> fresh;
    for (int i = 0; i < 300; ++i) {
      auto** object =
          static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 16 * (1 + random() % 8)));
      if (!fresh.empty()) object[0] = fresh.back();
      fresh.push_back(object);
    }
    collect(mutator);
    // Some words now say where dead objects were; they may hit newer ones, or the middle of them.
    if (round % 3 == 0)
      stale[random() % 64] = reinterpret_cast<std::uintptr_t>(fresh[random() % 300]);
    if (round % 7 == 0) stale[random() % 64] = 0;
  }
  REQUIRE(weir_roots_remove(heap, stale) == WEIR_OK);
}
