// A collected heap, in C++. This header brings all of the API over weir.h: kinds, mutators, locals,
// weak references. No exceptions, no RTTI; calls that can fail return Expected.
//
//   auto heap = weir::Heap::create().value();
//   auto node = heap.define<Node>("node").value();
//   auto mutator = heap.attach().value();
//   Node* root = mutator.make(node);
#pragma once

#include <weir/weir.h>

#include <cassert>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <weir/error.hpp>
#include <weir/kind.hpp>
#include <weir/local.hpp>
#include <weir/mutator.hpp>
#include <weir/status.hpp>
#include <weir/weak.hpp>

namespace weir {

inline weir_config default_config() {
  weir_config config;
  weir_config_init(&config);
  return config;
}

// Any thread, but for its end.
class Heap {
 public:
  static Expected<Heap> create(const weir_config& config = default_config()) {
    weir_heap* heap = nullptr;
    if (auto made = checked(weir_heap_create(&config, &heap)); !made)
      return Unexpected(made.error());
    return Heap(heap);
  }
  Heap(Heap&& other) noexcept : heap_(std::exchange(other.heap_, nullptr)) {}
  Heap& operator=(Heap&& other) noexcept {
    std::swap(heap_, other.heap_);
    return *this;
  }
  // As destroy() does; all mutators have ended before.
  ~Heap() {
    [[maybe_unused]] const auto done = destroy();
    assert(done && "a heap ended before its mutators");
  }
  // Runs all finalizers there are, unless told otherwise, and gives everything back; there is no
  // heap any more. Error busy: mutators are attached; nothing happened.
  Expected<> destroy(bool run_finalizers = true) {
    if (heap_ == nullptr) return {};
    auto done = checked(weir_heap_destroy(heap_, run_finalizers));
    if (done) heap_ = nullptr;
    return done;
  }

  weir_heap* get() const { return heap_; }

  // Declares how T is traced (weir/kind.hpp). Error invalid_argument: the 121st kind.
  template <class T>
  Expected<Kind<T>> define(const char* name) {
    return define<T>(kind_config<T>(name));
  }
  template <class T>
  Expected<Kind<T>> define(const weir_kind_config& config) {
    Kind<T> kind{};
    if (auto defined = checked(weir_kind_define(heap_, &config, &kind.value)); !defined)
      return Unexpected(defined.error());
    return kind;
  }

  // The calling thread. By default it polls, and its stack is scanned conservatively.
  Expected<Mutator> attach(const weir_mutator_config& config = {WEIR_STOP_POLL, true, nullptr}) {
    weir_mutator* mutator = nullptr;
    if (auto attached = checked(weir_mutator_attach(heap_, &config, &mutator)); !attached)
      return Unexpected(attached.error());
    return Mutator(mutator);
  }

  // Words outside the heap that refer to objects, until remove_roots.
  template <class T>
  Expected<> add_roots(T** first, std::size_t count = 1) {
    return checked(weir_roots_add(heap_, first, count));
  }
  Expected<> remove_roots(const void* first) { return checked(weir_roots_remove(heap_, first)); }

  Expected<> set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes) {
    return checked(weir_heap_set_limits(heap_, minimum_bytes, maximum_bytes));
  }
  std::size_t trim() { return weir_heap_trim(heap_); }
  weir_statistics statistics() const {
    weir_statistics statistics;
    weir_heap_statistics(heap_, &statistics);
    return statistics;
  }
  // The write barrier in use, by name; "none" without generations.
  const char* barrier() const { return weir_heap_barrier(heap_); }
  // visit(const char* barrier, const char* reason), see weir_heap_barrier_reasons.
  template <class Visit>
  void for_each_barrier_reason(Visit&& visit) const {
    weir_heap_barrier_reasons(
        heap_,
        [](const char* barrier, const char* reason, void* data) {
          (*static_cast<std::remove_reference_t<Visit>*>(data))(barrier, reason);
        },
        &visit);
  }

 private:
  explicit Heap(weir_heap* heap) : heap_(heap) {}

  weir_heap* heap_;
};

}  // namespace weir
