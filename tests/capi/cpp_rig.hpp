// A heap of the C++ API, and values out of Expected.
#pragma once

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>
#include <weir/heap.hpp>

namespace weir::test {

template <class T>
T must(Expected<T> result) {
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().message()));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Its stack is not scanned: what is alive is exactly what precise roots reach.
inline constexpr weir_mutator_config kPrecise{WEIR_STOP_POLL, false, nullptr};

struct Node {
  Node* next = nullptr;
  long value = 0;
  Node* other = nullptr;
  static constexpr auto kSlots = slots(&Node::next, &Node::other);
};

struct CollectedHeap {
  Heap heap = must(Heap::create());
  Kind<Node> node = must(heap.define<Node>("node"));
  Mutator mutator = must(heap.attach(kPrecise));

  std::size_t live_objects() {
    std::size_t count = 0;
    const auto visit = [](const weir_object*, void* data) {
      ++*static_cast<std::size_t*>(data);
      return true;
    };
    must(checked(weir_heap_walk(mutator.get(), visit, &count)));
    return count;
  }
};

}  // namespace weir::test
