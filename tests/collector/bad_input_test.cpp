// What can never be right: an error that says so, or an end of the process with a sentence; never
// silent damage.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "tests/collector/last_words.hpp"
#include "tests/collector/rig.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

weir_status create_with(void (*change)(weir_config&)) {
  weir_config config = small_heap();
  change(config);
  weir_heap* heap = nullptr;
  const weir_status status = weir_heap_create(&config, &heap);
  if (status == WEIR_OK) weir_heap_destroy(heap, false);
  return status;
}

weir_status define_with(weir_heap* heap, void (*change)(weir_kind_config&)) {
  static const std::uint64_t kBits[64] = {1};
  weir_kind_config config{};
  config.name = "right";
  config.tracing = WEIR_TRACE_BITMAP;
  config.bitmap = kBits;
  config.bitmap_words = 1;
  change(config);
  weir_kind kind = 0;
  return weir_kind_define(heap, &config, &kind);
}

void trace_nothing(weir_visitor*, void*, std::size_t, std::size_t, void*) {}

}  // namespace

TEST_CASE("configurations that can never be right") {
  CHECK(create_with([](weir_config&) {}) == WEIR_OK);
  void (*const wrong[])(weir_config&) = {
      [](weir_config& c) { c.maximum_bytes = 0; },
      [](weir_config& c) { c.maximum_bytes = static_cast<std::size_t>(-1); },
      [](weir_config& c) { c.minimum_bytes = c.maximum_bytes + 1; },
      [](weir_config& c) { c.growth = 1; },
      [](weir_config& c) { c.growth = -2; },
      [](weir_config& c) { c.growth = std::nan(""); },
      [](weir_config& c) { c.growth = std::numeric_limits<double>::infinity(); },
      [](weir_config& c) { c.markers = 100'000; },
      [](weir_config& c) { c.huge_pages = static_cast<weir_huge_pages>(17); },
      [](weir_config& c) { c.slot_mask = 0; },
      [](weir_config& c) { c.slot_shift = 64; },
      [](weir_config& c) { c.conservative_mask = 0; },
  };
  for (auto* change : wrong) {
    CHECK(create_with(change) == WEIR_INVALID_ARGUMENT);
    CHECK(has(weir_error_message(), "configuring a heap"));
  }
  CHECK(weir_heap_create(nullptr, nullptr) == WEIR_INVALID_ARGUMENT);

  const TestHeap heap;
  CHECK(weir_heap_set_limits(heap, 4 * kMiB, 2 * kMiB) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_heap_set_limits(heap, 0, static_cast<std::size_t>(-1)) == WEIR_INVALID_ARGUMENT);
  weir_mutator* mutator = nullptr;
  weir_mutator_config config = kPrecise;
  config.stop = static_cast<weir_stop>(9);
  CHECK(weir_mutator_attach(heap, &config, &mutator) == WEIR_INVALID_ARGUMENT);
  config = kConservative;
  config.stack_base = reinterpret_cast<void*>(8);
  CHECK(weir_mutator_attach(heap, &config, &mutator) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_mutator_attach(nullptr, nullptr, &mutator) == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("kinds that can never be right, and one too many") {
  const TestHeap heap;
  void (*const wrong[])(weir_kind_config&) = {
      [](weir_kind_config& c) { c.name = nullptr; },
      [](weir_kind_config& c) { c.name = ""; },
      [](weir_kind_config& c) { c.tracing = static_cast<weir_tracing>(5); },
      [](weir_kind_config& c) { c.bitmap = nullptr; },
      [](weir_kind_config& c) { c.bitmap_words = 0; },
      [](weir_kind_config& c) { c.bitmap_words = 4097; },
      [](weir_kind_config& c) { c.bitmap_words = static_cast<std::size_t>(-1); },
      [](weir_kind_config& c) { c.trace = trace_nothing; },
      [](weir_kind_config& c) { c.tracing = WEIR_TRACE_CALLBACK; },
      [](weir_kind_config& c) { c.reaches_off_heap = true; },
  };
  for (auto* change : wrong) {
    CHECK(define_with(heap, change) == WEIR_INVALID_ARGUMENT);
    CHECK(has(weir_error_message(), "defining a kind"));
  }
  for (int i = 0; i < 120; ++i) REQUIRE(define_with(heap, [](weir_kind_config&) {}) == WEIR_OK);
  CHECK(define_with(heap, [](weir_kind_config&) {}) == WEIR_OUT_OF_MEMORY);
}

TEST_CASE("absurd sizes and alignments: NULL and a sentence, and the heap is as before") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  constexpr std::size_t kLargest = std::size_t{1} << 46;
  for (const weir_kind kind : {WEIR_KIND_LEAF, WEIR_KIND_SLOTS})
    for (const std::size_t size : {std::size_t{0}, kLargest, kLargest + 1, kLargest * 2 - 15,
                                   static_cast<std::size_t>(-1), static_cast<std::size_t>(-16)}) {
      CAPTURE(size);
      (void)weir_heap_set_limits(heap, 2, 1);  // another sentence before
      CHECK(weir_allocate(mutator, kind, size) == nullptr);
      CHECK(has(weir_error_message(), "allocating"));
      CHECK(weir_allocate_aligned(mutator, kind, size, 4096) == nullptr);
      CHECK(weir_allocate_uncollectable(mutator, kind, size) == nullptr);
    }
  for (const std::size_t alignment :
       {std::size_t{0}, std::size_t{3}, std::size_t{24}, 4 * kMiB, static_cast<std::size_t>(-1)}) {
    CHECK(weir_allocate_aligned(mutator, WEIR_KIND_LEAF, 64, alignment) == nullptr);
    CHECK(has(weir_error_message(), "alignment"));
  }
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 600 * kMiB) == nullptr);
  CHECK(has(weir_error_message(), "maximum"));
  CHECK(weir_allocate(mutator, WEIR_KIND_LEAF, 64) != nullptr);
}

TEST_CASE("counts that overflow, addresses that are nothing's") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  void* slots[4] = {};
  CHECK(weir_roots_add(heap, slots, static_cast<std::size_t>(-1)) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_add(heap, slots, static_cast<std::size_t>(-1) / 8) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_add(heap, slots, 0) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_add(heap, nullptr, 4) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_add(heap, reinterpret_cast<char*>(slots) + 1, 1) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_add_conservative(heap, slots, static_cast<std::size_t>(-1)) ==
        WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_add_callback(heap, nullptr, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_roots_remove(heap, slots) == WEIR_NOT_FOUND);

  auto* object = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_LEAF, 64));
  weir_weak* weak = nullptr;
  weir_ephemeron* ephemeron = nullptr;
  for (void* address : {static_cast<void*>(slots), static_cast<void*>(object + 8),
                        static_cast<void*>(object + 16), static_cast<void*>(nullptr)}) {
    CHECK(weir_weak_create(mutator, address, &weak) == WEIR_INVALID_ARGUMENT);
    CHECK(weir_ephemeron_create(mutator, address, object, &ephemeron) == WEIR_INVALID_ARGUMENT);
    CHECK(weir_finalizer_set(
              mutator, address, [](weir_mutator*, void*, void*) {}, nullptr) ==
          WEIR_INVALID_ARGUMENT);
    CHECK(weir_free(mutator, address) == WEIR_INVALID_ARGUMENT);
  }
  CHECK(weir_pin(heap, object, 65) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_pin(heap, object, static_cast<std::size_t>(-1)) == WEIR_INVALID_ARGUMENT);
  weir_stack* stack = nullptr;
  CHECK(weir_stack_register(mutator, slots, 0, &stack) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_stack_register(mutator, slots, static_cast<std::size_t>(-1) & ~std::size_t{7},
                            &stack) == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("a pin is no handle of an uncollectable object, nor the other way around") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  void* pinned = weir_allocate(mutator, WEIR_KIND_LEAF, 64);
  REQUIRE(weir_pin(heap, pinned, 64) == WEIR_OK);
  CHECK(weir_free(mutator, pinned) == WEIR_INVALID_ARGUMENT);
  void* held = weir_allocate_uncollectable(mutator, WEIR_KIND_LEAF, 64);
  CHECK(weir_unpin(heap, held, 64) == WEIR_NOT_FOUND);
  collect(mutator);
  weir_object found{};
  CHECK(weir_object_at(mutator, pinned, &found) == WEIR_OK);
  CHECK(weir_object_at(mutator, held, &found) == WEIR_OK);
  CHECK(weir_free(mutator, held) == WEIR_OK);
  CHECK(weir_free(mutator, held) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_unpin(heap, pinned, 64) == WEIR_OK);
  collect(mutator);
  CHECK(weir_object_at(mutator, pinned, &found) == WEIR_NOT_FOUND);
  CHECK(weir_object_at(mutator, held, &found) == WEIR_NOT_FOUND);
}

TEST_CASE("where to put the result is not NULL") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  void* object = weir_allocate(mutator, WEIR_KIND_LEAF, 64);
  CHECK(weir_weak_create(mutator, object, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_ephemeron_create(mutator, object, object, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_object_at(mutator, object, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_stack_register(mutator, object, 64, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_mutator_attach(heap, nullptr, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_heap_walk(mutator, nullptr, nullptr) == WEIR_INVALID_ARGUMENT);
  CHECK(weir_path_to(mutator, object, nullptr, nullptr) == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("a finalizer on Weir's thread can end neither the thread nor the heap") {
  static std::atomic<int> ran;
  static weir_status statuses[2];
  ran = 0;
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  const auto finalizer = [](weir_mutator* running, void*, void*) {
    statuses[0] = weir_finalizer_thread(weir_mutator_heap(running), false);
    statuses[1] = weir_heap_destroy(weir_mutator_heap(running), true);
    ran = 1;
    ran.notify_all();
  };
  REQUIRE(weir_finalizer_set(mutator, weir_allocate(mutator, WEIR_KIND_LEAF, 32), finalizer,
                             nullptr) == WEIR_OK);
  REQUIRE(weir_finalizer_thread(heap, true) == WEIR_OK);
  REQUIRE(weir_finalizer_thread(heap, true) == WEIR_OK);  // as once
  collect(mutator);
  weir_enter_blocking(mutator);
  ran.wait(0);
  weir_leave_blocking(mutator);
  for (const weir_status status : statuses) CHECK(status == WEIR_BUSY);
  CHECK(weir_finalizer_thread(heap, false) == WEIR_OK);
  CHECK(weir_finalizer_thread(heap, false) == WEIR_OK);
}

TEST_CASE("collecting where it may not be: WEIR_BUSY") {
  weir_heap* heap = nullptr;
  const weir_config config = small_heap();
  REQUIRE(weir_heap_create(&config, &heap) == WEIR_OK);
  weir_mutator* mutator = nullptr;
  REQUIRE(weir_mutator_attach(heap, &kPrecise, &mutator) == WEIR_OK);
  CHECK(weir_heap_destroy(heap, true) == WEIR_BUSY);
  CHECK(has(weir_error_message(), "attached"));

  weir_no_collect_begin(mutator);
  weir_no_collect_begin(mutator);
  weir_no_collect_end(mutator);
  CHECK(weir_collect(mutator) == WEIR_BUSY);
  weir_no_collect_end(mutator);
  CHECK(weir_collect(mutator) == WEIR_OK);

  static weir_status in_finalizer[3];
  const auto finalizer = [](weir_mutator* running, void*, void*) {
    in_finalizer[0] = weir_collect(running);
    in_finalizer[1] = weir_mutator_detach(running);
    in_finalizer[2] = weir_path_to(
        running, &in_finalizer, [](const weir_path_step*, void*) {}, nullptr);
  };
  REQUIRE(weir_finalizer_set(mutator, weir_allocate(mutator, WEIR_KIND_LEAF, 32), finalizer,
                             nullptr) == WEIR_OK);
  REQUIRE(weir_collect(mutator) == WEIR_OK);
  CHECK(weir_finalizers_run(mutator, 1) == 1);
  for (const weir_status status : in_finalizer) CHECK(status == WEIR_BUSY);
  CHECK(weir_mutator_detach(mutator) == WEIR_OK);
  CHECK(weir_heap_destroy(heap, false) == WEIR_OK);
}

#ifndef __SANITIZE_THREAD__
namespace {

weir_mutator* tracing_mutator = nullptr;
weir_weak* weak_cell = nullptr;

weir_kind callback_kind(weir_heap* heap, weir_trace trace) {
  weir_kind_config config{};
  config.name = "by callback";
  config.tracing = WEIR_TRACE_CALLBACK;
  config.trace = trace;
  weir_kind kind = 0;
  REQUIRE(weir_kind_define(heap, &config, &kind) == WEIR_OK);
  return kind;
}

}  // namespace

TEST_CASE("calls that can never be right end the process with a sentence") {
  CHECK(has(last_words_of([] {
              const TestHeap heap;
              weir_mutator* mutator = nullptr;
              weir_mutator_attach(heap, &kPrecise, &mutator);
              weir_mutator_detach(mutator);
              (void)weir_allocate(mutator, WEIR_KIND_LEAF, 32);
            }),
            "after weir_mutator_detach"));
  CHECK(has(last_words_of([] {
              const TestHeap heap;
              weir_mutator* mutator = nullptr;
              weir_mutator_attach(heap, &kPrecise, &mutator);
              (void)weir_allocate(mutator, WEIR_KIND_LEAF, 32);  // it has a span
              weir_mutator_detach(mutator);
              (void)weir_allocate(mutator, WEIR_KIND_LEAF, 32);
            }),
            "after weir_mutator_detach"));
  CHECK(has(last_words_of([] {
              const TestHeap heap;
              weir_mutator* mutator = nullptr;
              weir_mutator_attach(heap, &kPrecise, &mutator);
              weir_mutator_detach(mutator);
              (void)weir_mutator_detach(mutator);
            }),
            "after weir_mutator_detach"));
  CHECK(has(last_words_of([] { (void)weir_collect(nullptr); }), "NULL"));
  CHECK(has(last_words_of([] { (void)weir_heap_trim(nullptr); }), "NULL"));
  static void (*const uses[])(weir_mutator*) = {
      [](weir_mutator* mutator) { (void)weir_allocate(mutator, WEIR_KIND_LEAF, 32); },
      [](weir_mutator* mutator) { (void)weir_collect(mutator); },
      [](weir_mutator* mutator) { (void)weir_finalizers_run(mutator, 1); },
      [](weir_mutator* mutator) { (void)weir_weak_create(mutator, mutator, &weak_cell); },
  };
  static void (*use)(weir_mutator*);
  for (auto* each : uses) {
    use = each;
    CHECK(has(last_words_of([] {
                const TestHeap heap;
                const TestMutator mutator(heap, kPrecise);
                weir_enter_blocking(mutator);
                use(mutator);
              }),
              "between weir_enter_blocking and weir_leave_blocking"));
  }
  CHECK(has(last_words_of([] {
              const TestHeap heap;
              const TestMutator mutator(heap, kPrecise);
              (void)weir_allocate_slow(mutator, 0x7f0095, 32);
            }),
            "a kind that was not defined"));
  CHECK(has(last_words_of([] {
              const TestHeap heap;
              const TestMutator mutator(heap, kPrecise);
              weir_leave_blocking(mutator);
            }),
            "weir_leave_blocking"));
  CHECK(has(last_words_of([] {
              const TestHeap heap;
              const TestMutator mutator(heap, kPrecise);
              weir_no_collect_end(mutator);
            }),
            "weir_no_collect_end"));
}

TEST_CASE("an allocation or a collection inside a trace callback ends the process") {
  static bool in_the_fast_path;
  for (const bool fast : {false, true}) {
    in_the_fast_path = fast;
    CHECK(has(last_words_of([] {
                const TestHeap heap;
                const TestMutator mutator(heap, kPrecise);
                tracing_mutator = mutator;
                const auto trace = [](weir_visitor*, void*, std::size_t, std::size_t, void*) {
                  if (in_the_fast_path)
                    (void)weir_allocate(tracing_mutator, WEIR_KIND_LEAF, 32);
                  else
                    (void)weir_allocate(tracing_mutator, WEIR_KIND_LEAF, 100'000);
                };
                TestFrame<1> frame(mutator);
                frame[0] = weir_allocate(mutator, callback_kind(heap, trace), 64);
                (void)weir_collect(mutator);
              }),
              "inside a trace callback"));
  }
}

TEST_CASE("any other call inside a callback that is made with locks held ends it, too") {
  static const auto calls_in = [] { (void)weir_heap_trim(weir_mutator_heap(tracing_mutator)); };
  static void (*const callers[])(weir_heap*) = {
      [](weir_heap* heap) {
        const auto trace = [](weir_visitor*, void*, std::size_t, std::size_t, void*) {
          calls_in();
        };
        TestFrame<1> frame(tracing_mutator);
        frame[0] = weir_allocate(tracing_mutator, callback_kind(heap, trace), 64);
        (void)weir_collect(tracing_mutator);
      },
      [](weir_heap* heap) {
        (void)weir_roots_add_callback(
            heap, [](weir_visitor*, void*) { calls_in(); }, nullptr);
        (void)weir_collect(tracing_mutator);
      },
      [](weir_heap*) {
        (void)weir_mutator_roots_callback(
            tracing_mutator, [](weir_visitor*, void*) { calls_in(); }, nullptr);
        (void)weir_collect(tracing_mutator);
      },
      [](weir_heap*) {
        TestFrame<1> frame(tracing_mutator);
        frame[0] = weir_allocate(tracing_mutator, WEIR_KIND_LEAF, 64);
        (void)weir_heap_walk(
            tracing_mutator, [](const weir_object*, void*) { return calls_in(), true; }, nullptr);
      },
      [](weir_heap*) {
        (void)weir_allocate(tracing_mutator, WEIR_KIND_LEAF, 64);
        weir_heap_blocks(
            tracing_mutator, [](const weir_block*, void*) { calls_in(); }, nullptr);
      },
  };
  static void (*call)(weir_heap*);
  for (auto* each : callers) {
    call = each;
    CHECK(has(last_words_of([] {
                const TestHeap heap;
                const TestMutator mutator(heap, kPrecise);
                tracing_mutator = mutator;
                call(heap);
              }),
              "inside a trace callback, a roots callback or a visit"));
  }
}
#endif
