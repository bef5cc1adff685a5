// The end of memory, many heaps, limits that change.
#include <dirent.h>

#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t entries(const char* folder) {
  std::size_t count = 0;
  DIR* directory = ::opendir(folder);
  REQUIRE(directory != nullptr);
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

struct Handler {
  int calls = 0;
  void** drop = nullptr;  // the root that it gives up
  weir_heap* raise = nullptr;
  bool always_hopes = false;
};

bool on_out_of_memory(weir_mutator*, std::size_t, void* data) {
  auto& handler = *static_cast<Handler*>(data);
  ++handler.calls;
  if (handler.drop != nullptr && *handler.drop != nullptr) {
    *handler.drop = nullptr;
    return true;
  }
  if (handler.raise != nullptr)
    return weir_heap_set_limits(handler.raise, 2 * kMiB, 64 * kMiB) == WEIR_OK;
  return handler.always_hopes;
}

// Lists of objects of `bytes`, until there is no more.
std::size_t fill(weir_mutator* mutator, void*& root, std::size_t bytes) {
  std::size_t count = 0;
  while (auto** object = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, bytes))) {
    object[0] = root;
    root = object;
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("60: the maximum is reached: NULL, the heap whole, and memory again after freeing") {
  for (const std::size_t bytes : {std::size_t{32}, std::size_t{4000}, std::size_t{100'000}}) {
    CAPTURE(bytes);
    weir_config config = small_heap();
    config.maximum_bytes = 16 * kMiB;
    const TestHeap heap(config);
    const TestMutator mutator(heap, kPrecise);
    TestFrame<1> frame(mutator);
    const std::size_t count = fill(mutator, frame[0], bytes);
    CHECK(count * bytes > 10 * kMiB);
    CHECK(heap.statistics().heap_bytes <= 16 * kMiB);
    std::size_t length = 0;
    for (auto** at = static_cast<void**>(frame[0]); at != nullptr; at = static_cast<void**>(*at))
      ++length;
    CHECK(length == count);
    CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 100 * kMiB) == nullptr);
    frame[0] = nullptr;
    CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 8 * kMiB) != nullptr);
    CHECK(fill(mutator, frame[0], bytes) > count / 3);
  }
}

// Every second one of `bytes` dies; what then still fits where no collection may begin.
TEST_CASE("60: without a collection, all holes are used before there is no memory") {
  struct Sizes {
    std::size_t dead, fresh;
  };
  for (const weir_kind kind : {WEIR_KIND_SLOTS, WEIR_KIND_LEAF})
    for (const auto& [dead, fresh] : {Sizes{1008, 1000}, Sizes{1008, 600}, Sizes{4000, 700},
                                      Sizes{8192, 8000}, Sizes{96, 90}}) {
      CAPTURE(dead);
      CAPTURE(fresh);
      weir_config config = small_heap();
      config.maximum_bytes = 16 * kMiB;
      const TestHeap heap(config);
      const TestMutator mutator(heap, kPrecise);
      std::vector<void*> objects;
      REQUIRE(weir_heap_set_limits(heap, 16 * kMiB, 16 * kMiB) == WEIR_OK);
      objects.reserve(16 * kMiB / dead);
      weir_no_collect_begin(mutator);
      while (void* object = weir_allocate(mutator, kind, dead)) objects.push_back(object);
      weir_no_collect_end(mutator);
      REQUIRE(objects.size() * dead > 15 * kMiB);
      for (std::size_t i = 0; i < objects.size(); i += 2) objects[i] = nullptr;
      REQUIRE(weir_roots_add(heap, objects.data(), objects.size()) == WEIR_OK);
      collect(mutator);

      weir_no_collect_begin(mutator);
      // A wish that no hole fulfils costs those that come after it nothing.
      if (dead < 4000) CHECK(weir_allocate(mutator, kind, 8000) == nullptr);
      std::size_t count = 0;
      while (weir_allocate(mutator, kind, fresh) != nullptr) ++count;
      CHECK(count >= objects.size() / 2 * (dead / fresh) * 95 / 100);
      weir_no_collect_end(mutator);
      CHECK(heap.statistics().heap_bytes <= 16 * kMiB);
      REQUIRE(weir_roots_remove(heap, objects.data()) == WEIR_OK);
    }
}

TEST_CASE("60: the handler gives something up, raises the limit, or hopes in vain") {
  weir_config config = small_heap();
  config.maximum_bytes = 16 * kMiB;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  Handler handler;
  weir_heap_on_out_of_memory(heap, on_out_of_memory, &handler);
  fill(mutator, frame[0], 1000);
  CHECK(handler.calls == 1);

  handler = {0, &frame[0], nullptr, false};
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 4 * kMiB) != nullptr);
  CHECK(handler.calls == 1);

  handler = {};
  fill(mutator, frame[0], 1000);
  handler = {0, nullptr, nullptr, true};
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 30 * kMiB) == nullptr);
  CHECK(handler.calls == 8);

  handler = {0, nullptr, heap, false};
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 30 * kMiB) != nullptr);
  CHECK(handler.calls == 1);
}

TEST_CASE("external memory brings collections forward") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  const auto allocate = [&] {
    for (int i = 0; i < 20'000; ++i) (void)weir_allocate(mutator, WEIR_KIND_LEAF, 32);
  };
  allocate();
  CHECK(heap.statistics().collections == 0);
  weir_heap_external(heap, 100 * kMiB);
  CHECK(heap.statistics().external_bytes == 100 * kMiB);
  allocate();
  CHECK(heap.statistics().collections == 1);
  weir_heap_external(heap, -100 * static_cast<std::ptrdiff_t>(kMiB));
  CHECK(heap.statistics().external_bytes == 0);
}

TEST_CASE("memory that is not needed is given back") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  for (int i = 0; i < 40'000; ++i) {
    auto** object = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 1024));
    object[0] = frame[0];
    frame[0] = object;
  }
  frame[0] = nullptr;
  collect(mutator);
  CHECK(weir_heap_trim(heap) > 30 * kMiB);
  CHECK(heap.statistics().heap_bytes < kMiB);
  // What was given back is zero when it comes again.
  for (int i = 0; i < 40'000; ++i) {
    auto** object = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 1024));
    for (int word = 0; word < 128; ++word) REQUIRE(object[word] == nullptr);
  }
}

TEST_CASE("thousands of heaps leak neither descriptors nor threads nor memory; two on one thread") {
  const std::size_t heaps = scaled(10'000);
  const auto use = [] {
    const TestHeap heap;
    const TestHeap other;
    const TestMutator mutator(heap, kConservative);
    const TestMutator mutator_of_other(other, kConservative);
    void* object = weir_allocate(mutator, WEIR_KIND_SLOTS, 64);
    void* object_of_other = weir_allocate(mutator_of_other, WEIR_KIND_SLOTS, 64);
    weir_object found{};
    CHECK(weir_object_at(mutator, object, &found) == WEIR_OK);
    CHECK(weir_object_at(mutator, object_of_other, &found) == WEIR_NOT_FOUND);
  };
  use();
  const std::size_t descriptors = entries("/proc/self/fd");
  const std::size_t threads = entries("/proc/self/task");
  for (std::size_t i = 0; i < heaps / 2; ++i) use();
  CHECK(entries("/proc/self/fd") == descriptors);
  CHECK(entries("/proc/self/task") == threads);
}
