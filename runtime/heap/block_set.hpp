// A set of blocks, by number: a bit for each, and a bound below which there are none.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "runtime/os/off_heap.hpp"

namespace weir::heap {

class BlockSet {
 public:
  static Expected<BlockSet> create(std::size_t block_count) {
    auto words = os::OffHeapArray<std::uint64_t>::create((block_count + 63) / 64);
    if (!words) return Unexpected(words.error());
    BlockSet set;
    set.words_ = std::move(*words);
    return set;
  }

  bool contains(std::size_t index) const { return (words_[index / 64] & bit(index)) != 0; }
  void insert(std::size_t index) {
    size_ += contains(index) ? 0 : 1;
    words_[index / 64] |= bit(index);
    bound_ = std::min(bound_, index);
  }
  void erase(std::size_t index) {
    size_ -= contains(index) ? 1 : 0;
    words_[index / 64] &= ~bit(index);
    if (index == bound_) ++bound_;
  }
  std::size_t size() const { return size_; }

  // The first member in [from, end), or `end`.
  std::size_t next(std::size_t from, std::size_t end) const {
    from = std::max(from, bound_);
    while (from < end) {
      if (const std::uint64_t rest = words_[from / 64] >> (from % 64); rest != 0)
        return std::min(from + static_cast<std::size_t>(std::countr_zero(rest)), end);
      from = (from / 64 + 1) * 64;
    }
    return end;
  }
  // The lowest member, below `end`, or `end`; remembers where that was.
  std::size_t first(std::size_t end) {
    if (size_ == 0) return end;
    bound_ = next(0, end);
    return bound_;
  }

 private:
  static std::uint64_t bit(std::size_t index) { return std::uint64_t{1} << (index % 64); }

  os::OffHeapArray<std::uint64_t> words_;
  std::size_t size_ = 0;
  std::size_t bound_ = 0;  // no member is below
};

}  // namespace weir::heap
