// One bit per unit of dirtiness (page or card) of a range. Single bits and words are atomic, so the
// fault path and the collector may meet; whole operations are not.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <weir/error.hpp>

#include "runtime/os/off_heap.hpp"

namespace weir::barrier {

// Units [first, first + count) of a range.
struct UnitSpan {
  std::size_t first = 0;
  std::size_t count = 0;
  std::size_t end() const { return first + count; }
};

class UnitBits {
 public:
  static constexpr std::size_t kWordBits = 64;

  static Expected<UnitBits> create(std::size_t units) {
    auto words = os::OffHeapArray<std::uint64_t>::create((units + kWordBits - 1) / kWordBits);
    if (!words) return tl::unexpected(words.error());
    UnitBits bits;
    bits.words_ = std::move(*words);
    return bits;
  }

  bool test(std::size_t unit) const {
    return (load(unit / kWordBits) >> (unit % kWordBits) & 1) != 0;
  }
  // True when it was not set before.
  bool set(std::size_t unit) { return (set_in(unit / kWordBits, bit(unit)) & bit(unit)) == 0; }

  std::uint64_t load(std::size_t index) const {
    return std::atomic_ref<std::uint64_t>(const_cast<std::uint64_t&>(words_[index])).load();
  }
  // Sets, clears or takes out the bits of `mask` in one word; returns the word as it was before.
  std::uint64_t set_in(std::size_t index, std::uint64_t mask) { return word(index).fetch_or(mask); }
  std::uint64_t clear_in(std::size_t index, std::uint64_t mask) {
    return load(index) & mask ? word(index).fetch_and(~mask) : load(index);
  }

  void set(UnitSpan span) {
    for_words(span, [&](std::size_t index, std::uint64_t mask) { set_in(index, mask); });
  }
  void clear(UnitSpan span) {
    for_words(span, [&](std::size_t index, std::uint64_t mask) { clear_in(index, mask); });
  }
  bool all(UnitSpan span) const {
    bool all = true;
    for_words(span, [&](std::size_t index, std::uint64_t mask) {
      all = all && (load(index) & mask) == mask;
    });
    return all;
  }
  std::size_t count(UnitSpan span) const {
    std::size_t count = 0;
    for_words(span, [&](std::size_t index, std::uint64_t mask) {
      count += static_cast<std::size_t>(std::popcount(load(index) & mask));
    });
    return count;
  }

  // `span`, and the bits around it within `limits` that are set without a gap.
  UnitSpan run_around(UnitSpan span, UnitSpan limits) const {
    while (span.first > limits.first && test(span.first - 1)) {
      --span.first;
      ++span.count;
    }
    while (span.end() < limits.end() && test(span.end())) ++span.count;
    return span;
  }

  // Calls visit(word index, mask of the span's bits in it).
  template <class Visit>
  static void for_words(UnitSpan span, Visit&& visit) {
    for (std::size_t unit = span.first; unit < span.end();) {
      const std::size_t index = unit / kWordBits;
      const std::size_t past = std::min(span.end(), (index + 1) * kWordBits);
      const std::size_t size = past - unit;
      const std::uint64_t low =
          size == kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << size) - 1;
      visit(index, low << (unit % kWordBits));
      unit = past;
    }
  }

  // Calls visit(UnitSpan) for each longest run of bits that are `value`.
  template <class Visit>
  void for_runs(UnitSpan span, bool value, Visit&& visit) const {
    std::size_t run = span.end();  // start of the open run, or the end for none
    for_words(span, [&](std::size_t index, std::uint64_t mask) {
      std::uint64_t word = load(index);
      if (!value) word = ~word;
      word &= mask;
      const std::size_t base = index * kWordBits;
      std::size_t at = static_cast<std::size_t>(std::countr_zero(mask));
      const std::size_t past = kWordBits - static_cast<std::size_t>(std::countl_zero(mask));
      while (at < past) {
        const std::uint64_t rest = word >> at;
        if (run == span.end()) {  // look for a set bit
          if (rest == 0) break;
          at += static_cast<std::size_t>(std::countr_zero(rest));
          run = base + at;
        } else {  // look for a clear one
          at += static_cast<std::size_t>(std::countr_one(rest));
          if (at >= past) break;
          visit(UnitSpan{run, base + at - run});
          run = span.end();
        }
      }
    });
    if (run != span.end()) visit(UnitSpan{run, span.end() - run});
  }

 private:
  std::atomic_ref<std::uint64_t> word(std::size_t index) {
    return std::atomic_ref<std::uint64_t>(words_[index]);
  }
  static std::uint64_t bit(std::size_t unit) { return std::uint64_t{1} << (unit % kWordBits); }

  os::OffHeapArray<std::uint64_t> words_;
};

}  // namespace weir::barrier
