// One byte for each granule of a region, in a table beside it [side-metadata]: where objects start,
// how they are traced, and whether they are marked. Found by arithmetic from the address.
//
//   bit 7     an object, or a free run, starts at this granule
//   bits 4-2  its tracing class; 0: no object, but a free run, which ends where the next start is
//   bits 1-0  the mark: 0, allocated since the last collection; else the epoch in which it was last
//             found alive. Epochs rotate through 1, 2, 3, so that nothing is ever unmarked.
//
// A start needs no end: an object reaches up to the next start, or to the end of its block. So the
// fast path of the allocation stores once, and what is left of a span needs a free start behind the
// last object before anybody looks. The byte of an object's second granule is its kind's number
// (bit 7 clear); those of the others are 0.
//
// The technique is that of Whippet's nofl space (a metadata byte per granule, rotating marks),
// without its end bit. Bytes are read and marked by several threads at once, and a sweep writes the
// bytes of live objects anew with those of dead ones beside them: all as relaxed atomics.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <weir/address.hpp>

#include "runtime/heap/units.hpp"

namespace weir::heap {

enum class TraceClass : std::uint8_t { free, leaf, conservative, slots, bitmap, callback };

class MetadataByte {
 public:
  static constexpr std::uint8_t kStart = 0x80;
  static constexpr std::uint8_t kMarkMask = 0x03;

  constexpr explicit MetadataByte(std::uint8_t value) : value_(value) {}
  static constexpr MetadataByte start(TraceClass trace) {
    return MetadataByte(
        static_cast<std::uint8_t>(kStart | (static_cast<unsigned>(trace) << kClassShift)));
  }
  static constexpr MetadataByte free_start() { return start(TraceClass::free); }

  constexpr std::uint8_t value() const { return value_; }
  constexpr bool is_start() const { return (value_ & kStart) != 0; }
  constexpr TraceClass trace_class() const {
    return static_cast<TraceClass>((value_ >> kClassShift) & 7);
  }
  // Bits 6 and 5 are 0.
  constexpr bool is_object() const { return value_ >= (kStart | 1 << kClassShift); }
  constexpr unsigned mark() const { return value_ & kMarkMask; }
  constexpr MetadataByte marked(unsigned epoch) const {
    return MetadataByte(static_cast<std::uint8_t>((value_ & ~kMarkMask) | epoch));
  }

 private:
  static constexpr unsigned kClassShift = 2;
  std::uint8_t value_;
};

constexpr unsigned next_epoch(unsigned epoch) {
  return epoch == 3 ? 1 : epoch + 1;
}
constexpr unsigned previous_epoch(unsigned epoch) {
  return epoch == 1 ? 3 : epoch - 1;
}

// The table of one region. A plain value.
class Metadata {
 public:
  Metadata() = default;
  Metadata(Range region, std::uint8_t* table)
      : bias_(Address(table).value() - (region.begin.value() >> kGranuleShift)) {}

  std::uint8_t* at(Address a) const {
    return Address(bias_ + (a.value() >> kGranuleShift)).as<std::uint8_t>();
  }
  // Of the byte that the inline allocation in weir.h indexes.
  unsigned char* biased() const { return Address(bias_).as<unsigned char>(); }

  MetadataByte load(Address a) const {
    return MetadataByte(std::atomic_ref(*at(a)).load(std::memory_order_relaxed));
  }
  void store(Address a, MetadataByte byte) const {
    std::atomic_ref(*at(a)).store(byte.value(), std::memory_order_relaxed);
  }
  // Marks what `before` was loaded from. Several threads may each take itself for the first.
  void mark(Address start, MetadataByte before, unsigned epoch) const {
    store(start, before.marked(epoch));
  }
  // True for the one caller that marks it in this epoch.
  bool mark_once(Address start, unsigned epoch) const {
    std::atomic_ref byte(*at(start));
    const MetadataByte before(byte.load(std::memory_order_relaxed));
    if (before.mark() == epoch) return false;
    const MetadataByte old(byte.exchange(before.marked(epoch).value(), std::memory_order_relaxed));
    return old.mark() != epoch;
  }
  std::uint8_t kind_number(Address start) const {
    return std::atomic_ref(*at(start + kGranuleBytes)).load(std::memory_order_relaxed);
  }
  void clear(Range granules) const {
    std::memset(at(granules.begin), 0, granules.size / kGranuleBytes);
  }

  // The first start in (after, end), or `end`. `end` is a block's end, or in the block of `after`.
  Address next_start(Address after, Address end) const;
  // The last start in [first, last], or a null address.
  Address start_at_or_before(Address last, Address first) const;

  // Eight granules at once, the first of them at a multiple of eight; kStarts is where they say
  // that something starts.
  static constexpr std::size_t kGroup = 8;
  static constexpr std::uint64_t kStarts = 0x0101010101010101u * MetadataByte::kStart;
  std::uint64_t load_group(Address first) const {
    return group(first).load(std::memory_order_relaxed);
  }
  void store_group(Address first, std::uint64_t bytes) const {
    group(first).store(bytes, std::memory_order_relaxed);
  }

  // Of eight bytes: kStarts where an object starts that is marked in `epoch`.
  static std::uint64_t marked_starts(std::uint64_t bytes, unsigned epoch) {
    // No sum carries into the next byte.
    const std::uint64_t is_object = (bytes & kOnes * 0x1c) + kOnes * 0x7c;
    const std::uint64_t is_unmarked =
        ((bytes ^ kOnes * epoch) & kOnes * MetadataByte::kMarkMask) + kOnes * 0x7f;
    return bytes & is_object & ~is_unmarked & kStarts;
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101u;

  std::atomic_ref<std::uint64_t> group(Address first) const {
    return std::atomic_ref(*Address(at(first)).as<std::uint64_t>());
  }

  std::uintptr_t bias_ = 0;
};

inline Address Metadata::next_start(Address after, Address end) const {
  constexpr std::size_t kGroupBytes = kGroup * kGranuleBytes;
  const Address first = after + kGranuleBytes;
  Address at = first.align_down(kGroupBytes);
  std::uint64_t mask = ~std::uint64_t{0} << ((first - at) / kGranuleBytes * 8);
  for (; at < end; at = at + kGroupBytes, mask = ~std::uint64_t{0}) {
    const std::uint64_t starts = load_group(at) & kStarts & mask;
    if (starts != 0) {
      const Address found =
          at + static_cast<unsigned>(std::countr_zero(starts)) / 8 * kGranuleBytes;
      return found < end ? found : end;
    }
  }
  return end;
}

inline Address Metadata::start_at_or_before(Address last, Address first) const {
  constexpr std::size_t kGroupBytes = kGroup * kGranuleBytes;
  Address at = last.align_down(kGroupBytes);
  std::uint64_t mask = ~std::uint64_t{0} >> ((kGroup - 1 - (last - at) / kGranuleBytes) * 8);
  for (;; at = at - kGroupBytes, mask = ~std::uint64_t{0}) {
    const std::uint64_t starts = load_group(at) & kStarts & mask;
    if (starts != 0) {
      const Address found =
          at + (63 - static_cast<unsigned>(std::countl_zero(starts))) / 8 * kGranuleBytes;
      return found >= first ? found : Address();
    }
    if (at <= first) return Address();
  }
}

}  // namespace weir::heap
