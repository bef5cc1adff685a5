// A heap and mutators for the tests of the collector, through the C API as an embedder would.
#pragma once

#include <doctest/doctest.h>
#include <weir/weir.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace weir::test {

inline weir_config small_heap() {
  weir_config config;
  weir_config_init(&config);
  config.minimum_bytes = std::size_t{2} << 20;
  config.maximum_bytes = std::size_t{512} << 20;
  return config;
}

inline constexpr weir_barrier kBarriers[] = {WEIR_BARRIER_ASYNC,       WEIR_BARRIER_UFFD_THREAD,
                                             WEIR_BARRIER_UFFD_SIGBUS, WEIR_BARRIER_MPROTECT,
                                             WEIR_BARRIER_SOFT_DIRTY,  WEIR_BARRIER_CARDS,
                                             WEIR_BARRIER_ALWAYS_DIRTY};

class TestHeap {
 public:
  // False where this machine lacks the barrier that is asked for, or where the environment asks for
  // what contradicts it; the reason is printed.
  static bool can_be_made(const weir_config& config) {
    weir_heap* heap = nullptr;
    const weir_status status = weir_heap_create(&config, &heap);
    if (status == WEIR_OK) return weir_heap_destroy(heap, false) == WEIR_OK;
    const bool is_set =
        std::getenv("WEIR_BARRIER") != nullptr || std::getenv("WEIR_ARENA") != nullptr;
    const bool is_contradiction = is_set && status == WEIR_INVALID_ARGUMENT;
    REQUIRE_MESSAGE((status == WEIR_UNSUPPORTED || is_contradiction),
                    std::string(weir_error_message()));
    std::printf("skipped: %s\n", weir_error_message());
    return false;
  }
  explicit TestHeap(const weir_config& config = small_heap()) {
    REQUIRE_MESSAGE(weir_heap_create(&config, &heap_) == WEIR_OK, weir_error_message());
  }
  ~TestHeap() { CHECK_MESSAGE(weir_heap_destroy(heap_, false) == WEIR_OK, weir_error_message()); }
  TestHeap(const TestHeap&) = delete;
  TestHeap& operator=(const TestHeap&) = delete;

  operator weir_heap*() const { return heap_; }
  weir_statistics statistics() const {
    weir_statistics statistics;
    weir_heap_statistics(heap_, &statistics);
    return statistics;
  }

 private:
  weir_heap* heap_ = nullptr;
};

inline constexpr weir_mutator_config kPrecise = {WEIR_STOP_POLL, false, nullptr};
inline constexpr weir_mutator_config kConservative = {WEIR_STOP_POLL, true, nullptr};
inline constexpr weir_mutator_config kBySignal = {WEIR_STOP_SIGNAL, true, nullptr};

class TestMutator {
 public:
  TestMutator(weir_heap* heap, const weir_mutator_config& config) {
    REQUIRE_MESSAGE(weir_mutator_attach(heap, &config, &mutator_) == WEIR_OK, weir_error_message());
  }
  ~TestMutator() { CHECK_MESSAGE(weir_mutator_detach(mutator_) == WEIR_OK, weir_error_message()); }
  TestMutator(const TestMutator&) = delete;
  TestMutator& operator=(const TestMutator&) = delete;

  operator weir_mutator*() const { return mutator_; }

 private:
  weir_mutator* mutator_ = nullptr;
};

// Precise roots of a scope.
template <std::size_t kSlots>
class TestFrame {
 public:
  explicit TestFrame(weir_mutator* mutator) : mutator_(mutator) {
    frame_ = {nullptr, kSlots, slots_};
    weir_frame_enter(mutator_, &frame_);
  }
  ~TestFrame() { weir_frame_leave(mutator_, &frame_); }
  TestFrame(const TestFrame&) = delete;
  TestFrame& operator=(const TestFrame&) = delete;

  void*& operator[](std::size_t index) { return slots_[index]; }

 private:
  weir_mutator* mutator_;
  weir_frame frame_;
  void* slots_[kSlots] = {};
};

inline void collect(weir_mutator* mutator) {
  REQUIRE_MESSAGE(weir_collect(mutator) == WEIR_OK, weir_error_message());
}

}  // namespace weir::test
