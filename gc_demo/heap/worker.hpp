// One thread that allocates: a table of lists, trees and arrays, of which one after the other is
// checked, dropped and replaced by a new one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <weir/heap.hpp>

namespace weir::heap_demo {

struct Node {
  Node* left;
  Node* right;  // in a list: none
  std::size_t value;
  static constexpr auto kSlots = slots(&Node::left, &Node::right);
};

struct Work {
  Kind<Node> node;
  std::size_t shapes = 0;  // in the table of each worker
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> checked{0};
  std::atomic<std::size_t> wrong{0};
  std::atomic<std::size_t> refused{0};  // allocations, for want of memory
};

// Until work.stop. Its stack is not scanned: what is not in a Local is garbage.
Expected<> run_worker(Heap& heap, Work& work, std::uint64_t seed);

}  // namespace weir::heap_demo
