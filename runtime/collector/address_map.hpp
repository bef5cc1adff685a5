// A hash map from addresses to small values, in off-heap memory, so that it can be used while other
// threads are stopped wherever they stand. Open addressing, linear probing. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <weir/address.hpp>

#include "runtime/os/off_heap.hpp"

namespace weir::collector {

// Spreads addresses, whose low bits are alike (the finalizer of MurmurHash3).
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdu;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53u;
  x ^= x >> 33;
  return x;
}

template <class Value>
class AddressMap {
 public:
  // nullptr: not there. Valid until the next change.
  Value* find(Address key) {
    if (count_ == 0) return nullptr;
    Entry& entry = entries_[slot_of(key)];
    return entry.key == key ? &entry.value : nullptr;
  }
  const Value* find(Address key) const { return const_cast<AddressMap*>(this)->find(key); }

  // Finds it, or puts `fresh` there. nullptr: out of memory, and nothing changed.
  [[nodiscard]] Value* insert(Address key, const Value& fresh, bool* inserted = nullptr) {
    if ((count_ + 1) * 2 > entries_.size() && !grow()) return nullptr;
    Entry& entry = entries_[slot_of(key)];
    const bool is_new = entry.key != key;
    if (is_new) {
      entry = {key, fresh};
      ++count_;
    }
    if (inserted != nullptr) *inserted = is_new;
    return &entry.value;
  }

  bool erase(Address key) {
    if (count_ == 0) return false;
    std::size_t hole = slot_of(key);
    if (entries_[hole].key != key) return false;
    // What follows moves up, as far as it belongs there.
    const std::size_t mask = entries_.size() - 1;
    for (std::size_t next = (hole + 1) & mask; entries_[next].key != Address();
         next = (next + 1) & mask) {
      const std::size_t home = mix(entries_[next].key.value()) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      entries_[hole] = entries_[next];
      hole = next;
    }
    entries_[hole] = {};
    --count_;
    return true;
  }

  void clear() {
    for (Entry& entry : entries_) entry = {};
    count_ = 0;
  }
  std::size_t size() const { return count_; }

  template <class Visit>
  void for_each(Visit&& visit) {
    for (Entry& entry : entries_)
      if (entry.key != Address()) visit(entry.key, entry.value);
  }

 private:
  struct Entry {
    Address key;  // null: free
    Value value;
  };

  // Where it is, or would be put.
  std::size_t slot_of(Address key) const {
    const std::size_t mask = entries_.size() - 1;
    std::size_t slot = mix(key.value()) & mask;
    while (entries_[slot].key != Address() && entries_[slot].key != key) slot = (slot + 1) & mask;
    return slot;
  }
  bool grow() {
    auto larger = os::OffHeapArray<Entry>::create(entries_.size() == 0 ? 64 : entries_.size() * 2);
    if (!larger) return false;
    std::swap(entries_, *larger);
    for (const Entry& entry : *larger)
      if (entry.key != Address()) entries_[slot_of(entry.key)] = entry;
    return true;
  }

  os::OffHeapArray<Entry> entries_;
  std::size_t count_ = 0;
};

}  // namespace weir::collector
