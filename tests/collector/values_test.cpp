// References that are not plain addresses, and roots that are not slots: tags, shifts, NaN boxes,
// what a callback decodes, conservative words; fibers; the identity hash.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

using namespace weir::test;

namespace {

bool is_alive(weir_mutator* mutator, const void* object) {
  weir_object found{};
  return weir_object_at(mutator, object, &found) == WEIR_OK;
}

struct Encoding {
  const char* name;
  std::uintptr_t mask;
  unsigned shift;
  std::uintptr_t (*encode)(const void* object);
};

std::uintptr_t bits(const void* object) {
  return reinterpret_cast<std::uintptr_t>(object);
}

constexpr std::uintptr_t kAddress = (std::uintptr_t{1} << 48) - 1;

constexpr Encoding kEncodings[] = {
    {"plain", ~std::uintptr_t{0}, 0, [](const void* o) { return bits(o); }},
    {"tagged below", ~std::uintptr_t{7}, 0, [](const void* o) { return bits(o) | 5; }},
    {"NaN-boxed", kAddress, 0,
     [](const void* o) { return bits(o) | std::uintptr_t{0xfffa} << 48; }},
    {"NaN-boxed, tagged", kAddress & ~std::uintptr_t{15}, 0,
     [](const void* o) { return bits(o) | 11 | std::uintptr_t{0x7ff9} << 48; }},
    {"shifted", ~std::uintptr_t{0}, 4, [](const void* o) { return bits(o) >> 4; }},
    {"shifted and tagged", ~std::uintptr_t{3} & kAddress, 2,
     [](const void* o) { return bits(o) >> 2 | 3 | std::uintptr_t{0x5a} << 56; }},
};

weir_kind define(weir_heap* heap, weir_tracing tracing, weir_trace trace) {
  static const std::uint64_t kSecond = 2;
  weir_kind_config config{};
  config.name = "a kind";
  config.tracing = tracing;
  if (tracing == WEIR_TRACE_BITMAP) config.bitmap = &kSecond, config.bitmap_words = 4;
  config.trace = trace;
  config.movable = true;
  weir_kind kind = 0;
  REQUIRE_MESSAGE(weir_kind_define(heap, &config, &kind) == WEIR_OK, weir_error_message());
  return kind;
}

}  // namespace

TEST_CASE("tagged, shifted and NaN-boxed references: in objects of all kinds, slots and frames") {
  for (const Encoding& encoding : kEncodings) {
    CAPTURE(encoding.name);
    weir_config config = small_heap();
    config.slot_mask = encoding.mask;
    config.slot_shift = encoding.shift;
    config.verify = true;
    const TestHeap heap(config);
    const TestMutator mutator(heap, kPrecise);
    TestFrame<2> frame(mutator);
    std::uintptr_t slots[2] = {0, 0x7ff8000000000001};  // a number: outside of every heap
    REQUIRE(weir_roots_add(heap, slots, 2) == WEIR_OK);
    const weir_kind kinds[] = {
        WEIR_KIND_SLOTS, define(heap, WEIR_TRACE_SLOTS, nullptr),
        define(heap, WEIR_TRACE_BITMAP, nullptr),
        define(heap, WEIR_TRACE_CALLBACK,
               [](weir_visitor* visitor, void* object, std::size_t from, std::size_t to, void*) {
                 if (from <= 8 && to > 8) weir_visit(visitor, static_cast<void**>(object) + 1);
               })};
    std::vector<void*> objects;
    std::uintptr_t last = 0;
    for (const weir_kind kind : kinds) {
      auto* words = static_cast<std::uintptr_t*>(weir_allocate(mutator, kind, 32));
      words[1] = last;
      objects.push_back(words);
      last = encoding.encode(words);
      frame[0] = reinterpret_cast<void*>(last);
    }
    for (int i = 0; i < 2; ++i) {
      collect(mutator);
      for (const void* object : objects) CHECK(is_alive(mutator, object));
    }
    slots[0] = last;
    frame[0] = nullptr;
    collect(mutator);
    for (const void* object : objects) CHECK(is_alive(mutator, object));
    slots[0] = 0;
    collect(mutator);
    for (const void* object : objects) CHECK_FALSE(is_alive(mutator, object));
    REQUIRE(weir_roots_remove(heap, slots) == WEIR_OK);
  }
}

TEST_CASE("a callback may decode by itself, and scan memory outside the heap conservatively") {
  constexpr std::uintptr_t kSecret = 0x5555555555555555;
  struct Holder {
    std::uintptr_t disguised;
    void** buffer;
  };
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  weir_kind_config config{};
  config.name = "a holder";
  config.tracing = WEIR_TRACE_CALLBACK;
  config.reaches_off_heap = true;
  config.trace = [](weir_visitor* visitor, void* object, std::size_t, std::size_t, void*) {
    auto* holder = static_cast<Holder*>(object);
    weir_visit_decoded(visitor, &holder->disguised,
                       reinterpret_cast<void*>(holder->disguised ^ kSecret));
    if (holder->buffer != nullptr)
      weir_visit_conservatively(visitor, holder->buffer, holder->buffer + 300);
  };
  weir_kind kind = 0;
  REQUIRE(weir_kind_define(heap, &config, &kind) == WEIR_OK);
  std::array<void*, 300> buffer{};  // more than a visitor holds at once
  auto* holder = static_cast<Holder*>(weir_allocate(mutator, kind, sizeof(Holder)));
  frame[0] = holder;
  void* disguised = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
  holder->disguised = bits(disguised) ^ kSecret;
  for (void*& word : buffer)  // somewhere inside
    word = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_LEAF, 48)) +
           7 * (&word - &buffer[0]) % 48;
  holder->buffer = buffer.data();
  collect(mutator);
  CHECK(is_alive(mutator, disguised));
  for (const void* word : buffer) CHECK(is_alive(mutator, word));
  holder->buffer = nullptr;
  holder->disguised = 0;
  collect(mutator);
  CHECK_FALSE(is_alive(mutator, disguised));
  for (const void* word : buffer) CHECK_FALSE(is_alive(mutator, word));
}

TEST_CASE("conservative words are masked by what the configuration says") {
  weir_config config = small_heap();
  config.conservative_mask = kAddress;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  std::uintptr_t words[2] = {};
  REQUIRE(weir_roots_add_conservative(heap, words, sizeof words) == WEIR_OK);
  auto* holder = static_cast<std::uintptr_t*>(weir_allocate(mutator, WEIR_KIND_CONSERVATIVE, 64));
  frame[0] = holder;
  void* objects[2] = {};
  for (void*& object : objects) object = weir_allocate(mutator, WEIR_KIND_LEAF, 64);
  words[1] = (bits(objects[0]) + 63) | std::uintptr_t{0xfff1} << 48;
  holder[7] = bits(objects[1]) | std::uintptr_t{0x1234} << 48;
  collect(mutator);
  for (const void* object : objects) CHECK(is_alive(mutator, object));
  words[1] = holder[7] = 0;
  collect(mutator);
  for (const void* object : objects) CHECK_FALSE(is_alive(mutator, object));
  REQUIRE(weir_roots_remove(heap, words) == WEIR_OK);
}

TEST_CASE("roots by callback, of a heap and of a mutator, until they are removed") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  void* kept[3] = {};
  const auto visit = [](weir_visitor* visitor, void* slot) { weir_visit(visitor, slot); };
  REQUIRE(weir_roots_add_callback(heap, visit, &kept[0]) == WEIR_OK);
  REQUIRE(weir_roots_add_callback(heap, visit, &kept[1]) == WEIR_OK);
  REQUIRE(weir_mutator_roots_callback(mutator, visit, &kept[2]) == WEIR_OK);
  for (void*& object : kept) object = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
  collect(mutator);
  for (const void* object : kept) CHECK(is_alive(mutator, object));
  CHECK(weir_roots_remove_callback(heap, visit, &kept[2]) == WEIR_NOT_FOUND);
  REQUIRE(weir_roots_remove_callback(heap, visit, &kept[0]) == WEIR_OK);
  CHECK(weir_roots_remove_callback(heap, visit, &kept[0]) == WEIR_NOT_FOUND);
  REQUIRE(weir_mutator_roots_callback(mutator, nullptr, nullptr) == WEIR_OK);
  collect(mutator);
  CHECK_FALSE(is_alive(mutator, kept[0]));
  CHECK(is_alive(mutator, kept[1]));
  CHECK_FALSE(is_alive(mutator, kept[2]));
  REQUIRE(weir_roots_remove_callback(heap, visit, &kept[1]) == WEIR_OK);
}

TEST_CASE("a registered stack keeps what is on it, whole until it ran, and no longer than that") {
  const TestHeap heap;
  const TestMutator mutator(heap, kConservative);
  alignas(16) static std::uintptr_t memory[512];
  weir_stack* stack = nullptr;
  REQUIRE(weir_stack_register(mutator, memory, sizeof memory, &stack) == WEIR_OK);
  weir_stack* overlapping = nullptr;
  CHECK(weir_stack_register(mutator, &memory[8], 64, &overlapping) == WEIR_BUSY);
  weir_weak* weak = nullptr;
  // In a frame that is gone by the time of the collection.
  const auto fill = [&]() __attribute__((noinline)) {
    void* object = weir_allocate(mutator, WEIR_KIND_LEAF, 64);
    memory[300] = bits(object);
    REQUIRE(weir_weak_create(mutator, object, &weak) == WEIR_OK);
  };
  fill();
  for (int i = 0; i < 3; ++i) collect(mutator);
  CHECK(weir_weak_get(mutator, weak) != nullptr);
  REQUIRE(weir_stack_unregister(mutator, stack) == WEIR_OK);
  CHECK(weir_stack_unregister(mutator, stack) == WEIR_NOT_FOUND);
  weir_weak_destroy(mutator, weak);
  memory[300] = 0;
}

TEST_CASE("the identity hash stays the same, and is rarely shared") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  std::vector<std::pair<void*, std::uint64_t>> hashes;
  std::set<std::uint64_t> different, low_bits;
  for (int i = 0; i < 4096; ++i) {
    auto** object = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 32));
    object[0] = frame[0];
    frame[0] = object;
    hashes.emplace_back(object, weir_identity_hash(heap, object));
    different.insert(hashes.back().second);
    low_bits.insert(hashes.back().second % 4096);
  }
  collect(mutator);
  for (const auto& [object, hash] : hashes) CHECK(weir_identity_hash(heap, object) == hash);
  CHECK(different.size() >= 4090);
  CHECK(low_bits.size() > 2000);  // a table of 4096 has few long chains
}

// Lists are the worst case for addresses that the runtime's own frames leave on a stack: whatever
// such a word refers to keeps all that came after it. The queue is in memory of its own, and works
// in a function of its own, whose frame has nothing that is stale. Sanitizers' frames have.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
namespace {

struct Entry {
  Entry* next;
  std::size_t words[3];
};
struct Queue {
  Entry* first = nullptr;
  Entry* last = nullptr;
};

__attribute__((noinline, optimize("O2"))) bool push(weir_mutator* mutator, Queue& queue) {
  auto* entry = static_cast<Entry*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Entry)));
  if (entry == nullptr) return false;
  (queue.last != nullptr ? queue.last->next : queue.first) = entry;
  queue.last = entry;
  return true;
}

}  // namespace

TEST_CASE("a conservative stack keeps nothing of what went through a queue") {
  TestHeap heap;
  TestMutator mutator(heap, kConservative);
  const auto queue = std::make_unique<Queue>();
  REQUIRE(weir_roots_add(heap, queue.get(), 2) == WEIR_OK);
  constexpr std::size_t kLength = 10'000;
  constexpr std::size_t kTimes = 200;
  bool is_complete = true;
  for (std::size_t i = 0; i < kLength; ++i) is_complete &= push(mutator, *queue);
  std::size_t most = 0;
  for (std::size_t i = 0; i < kLength * kTimes; ++i) {
    is_complete &= push(mutator, *queue);
    queue->first = queue->first->next;
    if (i % (kLength * 10) != 0) continue;
    is_complete &= weir_collect(mutator) == WEIR_OK;
    most = std::max<std::size_t>(most, heap.statistics().live_bytes);
  }
  CHECK(is_complete);
  CHECK(most < 3 * kLength * sizeof(Entry));
  CHECK(weir_roots_remove(heap, queue.get()) == WEIR_OK);
}
#endif
