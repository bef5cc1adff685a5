// The end of memory, many heaps, limits that change.
#include <dirent.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
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
    for (const Sizes& sizes : {Sizes{1008, 1000}, Sizes{1008, 600}, Sizes{4000, 700},
                               Sizes{8192, 8000}, Sizes{96, 90}}) {
      const std::size_t dead = sizes.dead;
      const std::size_t fresh = sizes.fresh;
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

TEST_CASE("60: a handler that allocates is not called for its own allocations") {
  weir_config config = small_heap();
  config.maximum_bytes = 4 * kMiB;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  static int calls;
  calls = 0;
  const auto handler = [](weir_mutator* asking, std::size_t bytes, void*) {
    ++calls;
    CHECK(weir_allocate(asking, WEIR_KIND_LEAF, bytes) == nullptr);
    return true;
  };
  weir_heap_on_out_of_memory(heap, handler, nullptr);
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 8 * kMiB) == nullptr);
  CHECK(calls == 8);
  weir_heap_on_out_of_memory(heap, nullptr, nullptr);
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 8 * kMiB) == nullptr);
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, kMiB) != nullptr);
}

// Each thread keeps what it can; none may hang, or get memory that another one has.
TEST_CASE("60: several threads at the maximum") {
  for (const weir_mutator_config& how : {kPrecise, kBySignal}) {
    weir_config config = small_heap();
    config.maximum_bytes = 8 * kMiB;
    const TestHeap heap(config);
    std::vector<std::thread> threads;
    std::atomic<std::size_t> wrong = 0;
    std::atomic<std::size_t> refused = 0;
    for (std::size_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        const TestMutator mutator(heap, how);
        TestFrame<1> frame(mutator);
        for (std::size_t round = 0; round < scaled(30) + 1; ++round) {
          std::size_t count = 0;
          const std::size_t bytes = std::size_t{64} << (t + round) % 9;  // up to 16 KiB
          while (auto** object =
                     static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, bytes))) {
            object[0] = frame[0];
            object[1] = reinterpret_cast<void*>(t + 1);  // refers to nothing
            frame[0] = object;
            ++count;
          }
          ++refused;
          std::size_t found = 0;
          for (auto** at = static_cast<void**>(frame[0]); at != nullptr;
               at = static_cast<void**>(*at), ++found)
            if (at[1] != reinterpret_cast<void*>(t + 1)) ++wrong;
          if (found != count) ++wrong;
          frame[0] = nullptr;
          weir_poll(mutator);
        }
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(refused == 4 * (scaled(30) + 1));
    const TestMutator mutator(heap, kPrecise);
    CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 4 * kMiB) != nullptr);
  }
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

namespace {

struct Process {
  std::size_t descriptors = entries("/proc/self/fd");
  std::size_t threads = entries("/proc/self/task");
  std::size_t mapped = 0, resident = 0;  // pages
  Process() { std::ifstream("/proc/self/statm") >> mapped >> resident; }
};

}  // namespace

TEST_CASE("thousands of heaps leak neither descriptors nor threads nor memory; two on one thread") {
  const std::size_t heaps = scaled(10'000);
  // Every tenth pair is collected, by two markers, and has a finalizer thread.
  const auto use = [](std::size_t i) {
    weir_config config = small_heap();
    config.markers = 2;
    const TestHeap heap(config);
    const TestHeap other(config);
    const TestMutator mutator(heap, kConservative);
    const TestMutator mutator_of_other(other, kConservative);
    void* object = weir_allocate(mutator, WEIR_KIND_SLOTS, 64);
    void* object_of_other = weir_allocate(mutator_of_other, WEIR_KIND_SLOTS, 64);
    weir_object found{};
    CHECK(weir_object_at(mutator, object, &found) == WEIR_OK);
    CHECK(weir_object_at(mutator, object_of_other, &found) == WEIR_NOT_FOUND);
    if (i % 10 != 0) return;
    CHECK(weir_finalizer_thread(heap, true) == WEIR_OK);
    weir_weak* weak = nullptr;  // and cells that nobody destroys
    CHECK(weir_weak_create(mutator, object, &weak) == WEIR_OK);
    collect(mutator);
    collect(mutator_of_other);
    CHECK(weir_object_at(mutator_of_other, object_of_other, &found) == WEIR_OK);
  };
  for (std::size_t i = 0; i < 100; ++i) use(i);
  const Process before;
  for (std::size_t i = 0; i < heaps / 2; ++i) use(i);
  const Process after;
  CHECK(after.descriptors == before.descriptors);
  CHECK(after.threads == before.threads);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // which keep what was freed
  // A page for every ten heaps would be 4 MiB; allocators keep what they like.
  const std::size_t slack = 2 * kMiB / static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  CHECK(after.mapped <= before.mapped + slack);
  CHECK(after.resident <= before.resident + slack);
#endif
}
