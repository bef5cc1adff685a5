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

// A word of work: the address of an object. With a tag, above a word that goes with it: a part of a
// large object above its offset, old memory to be scanned above its size.
struct MarkWord {
  enum Tag : std::uintptr_t { found = 0, part = 1, old_memory = 2 };
  static constexpr std::uintptr_t kTags = 3;

  static Tag tag(std::uintptr_t word) { return static_cast<Tag>(word & kTags); }
  static Address address(std::uintptr_t word) { return Address(word & ~kTags); }
};

struct MarkPacket {
  static constexpr std::size_t kWords = 510;
  MarkPacket* next = nullptr;
  std::size_t count = 0;
  std::uintptr_t words[kWords];
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

// One marker's end of it. While a packet is its own the count of it is in `top_`, which a compiler
// can keep in a register.
class MarkStack {
 public:
  explicit MarkStack(MarkPool& pool) : pool_(&pool) { take(pool.get_empty()); }
  ~MarkStack() { pool_->put_empty(packet_); }
  MarkStack(const MarkStack&) = delete;
  MarkStack& operator=(const MarkStack&) = delete;

  void push(std::uintptr_t address) {
    if (top_ >= full_) [[unlikely]]
      spill();
    *top_++ = address;
  }
  void push_part(Address object, std::size_t offset) { push_pair(object, MarkWord::part, offset); }
  void push_old_memory(Range range) { push_pair(range.begin, MarkWord::old_memory, range.size); }
  bool is_empty() const { return top_ == bottom_; }
  bool should_share() const { return pool_->is_anyone_waiting(); }
  // Gets more from the pool when it is empty; false: all markers ran out.
  bool refill(unsigned markers);
  // Gives a part away if another marker waits.
  void share() {
    if (should_share()) [[unlikely]]
      give_half();
  }
  void flush();  // everything to the pool

  // The same for a loop that keeps the top in a register: between its construction and `store`
  // nobody else uses the stack.
  class Cursor {
   public:
    explicit Cursor(MarkStack& stack) { load(stack); }
    void load(const MarkStack& stack) {
      bottom_ = stack.bottom_;
      top_ = stack.top_;
      full_ = stack.full_;
    }
    void store(MarkStack& stack) const { stack.top_ = top_; }
    bool is_empty() const { return top_ == bottom_; }
    bool has_room() const { return top_ < full_; }
    void push(std::uintptr_t word) { *top_++ = word; }
    std::uintptr_t pop() { return *--top_; }

   private:
    std::uintptr_t* bottom_;
    std::uintptr_t* top_;
    std::uintptr_t* full_;
  };

 private:
  // `word` has no tag.
  void push_pair(Address address, MarkWord::Tag tag, std::size_t word) {
    if (top_ >= full_) spill();
    *top_++ = word;
    *top_++ = address.value() | tag;
  }
  void take(MarkPacket* packet);
  std::size_t count() const { return static_cast<std::size_t>(top_ - bottom_); }
  void spill();
  void give_half();

  MarkPool* pool_;
  MarkPacket* packet_;
  std::uintptr_t* bottom_;
  std::uintptr_t* top_;   // where the next word goes
  std::uintptr_t* full_;  // no room for two more from here on
};

}  // namespace weir::collector
