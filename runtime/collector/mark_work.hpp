// What is still to be traced, shared by the markers of a collection in packets: a marker works on a
// packet of its own without locks; full packets, and halves of them while somebody has nothing to
// do, go to a pool from which the others take. Off-heap, kept for the next collection.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <weir/address.hpp>

#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

// An address that was found, or, with `offset` not 0, a large object whose tracing goes on there.
struct MarkItem {
  std::uintptr_t address = 0;
  std::size_t offset = 0;
};

// Entries are words: an address (even); or an object's start with bit 0 set, followed by an offset.
struct MarkPacket {
  static constexpr std::size_t kWords = 510;
  MarkPacket* next = nullptr;
  std::size_t count = 0;
  std::uintptr_t words[kWords];

  bool has_room() const { return count + 2 <= kWords; }
  void push(std::uintptr_t address) { words[count++] = address; }
  void push_part(std::uintptr_t object, std::size_t offset) {
    words[count++] = offset;
    words[count++] = object | 1;
  }
  MarkItem pop() {
    const std::uintptr_t word = words[--count];
    if ((word & 1) == 0) return {word, 0};
    return {word & ~std::uintptr_t{1}, words[--count]};
  }
};

class MarkPool {
 public:
  ~MarkPool();

  MarkPacket* get_empty();
  void put_empty(MarkPacket* packet);
  void put_full(MarkPacket* packet);  // not empty
  // Waits for work; nullptr: all `markers` wait, there is none left.
  MarkPacket* take_full(unsigned markers);
  // A marker that has something to spare should give it.
  bool is_anyone_waiting() const { return waiting_.load(std::memory_order_relaxed) != 0; }
  void restart();  // before markers come back for more; none is in take_full

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  MarkPacket* full_ = nullptr;
  MarkPacket* empty_ = nullptr;
  std::atomic<unsigned> waiting_{0};
  bool done_ = false;
};

// One marker's end of it.
class MarkStack {
 public:
  explicit MarkStack(MarkPool& pool) : pool_(&pool), top_(pool.get_empty()) {}
  ~MarkStack() { pool_->put_empty(top_); }
  MarkStack(const MarkStack&) = delete;
  MarkStack& operator=(const MarkStack&) = delete;

  void push(std::uintptr_t address) {
    if (!top_->has_room()) spill();
    top_->push(address);
  }
  void push_part(std::uintptr_t object, std::size_t offset) {
    if (!top_->has_room()) spill();
    top_->push_part(object, offset);
  }
  bool is_empty() const { return top_->count == 0; }
  MarkItem pop() { return top_->pop(); }
  // Gets more from the pool when it is empty; false: all markers ran out.
  bool refill(unsigned markers);
  // Gives a part away if another marker waits.
  void share();
  void flush();  // everything to the pool

 private:
  void spill();

  MarkPool* pool_;
  MarkPacket* top_;
};

}  // namespace weir::collector
