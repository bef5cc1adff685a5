// Addresses and address ranges: strong types for what every layer passes around, so that an address
// is never mistaken for a size or a page number. Plain values, usable from any thread and from
// signal handlers.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace weir {

// A place in the address space. Not a pointer: it can be out of range, and nothing is read
// through it by accident.
class Address {
 public:
  constexpr Address() = default;
  constexpr explicit Address(std::uintptr_t value) : value_(value) {}
  explicit Address(const volatile void* pointer)
      : value_(reinterpret_cast<std::uintptr_t>(pointer)) {}

  constexpr std::uintptr_t value() const { return value_; }
  template <class T = void>
  T* as() const {
    return reinterpret_cast<T*>(value_);
  }

  // `alignment` is a power of two.
  constexpr Address align_down(std::size_t alignment) const {
    return Address(value_ & ~(std::uintptr_t{alignment} - 1));
  }
  constexpr Address align_up(std::size_t alignment) const {
    return Address((value_ + alignment - 1) & ~(std::uintptr_t{alignment} - 1));
  }
  constexpr bool is_aligned(std::size_t alignment) const {
    return (value_ & (std::uintptr_t{alignment} - 1)) == 0;
  }

  friend constexpr auto operator<=>(Address, Address) = default;
  friend constexpr Address operator+(Address a, std::size_t bytes) {
    return Address(a.value_ + bytes);
  }
  friend constexpr Address operator-(Address a, std::size_t bytes) {
    return Address(a.value_ - bytes);
  }
  // Distance in bytes; `a` is not below `b`.
  friend constexpr std::size_t operator-(Address a, Address b) { return a.value_ - b.value_; }

 private:
  std::uintptr_t value_ = 0;
};

// The half-open range [begin, end), in bytes.
struct Range {
  Address begin;
  std::size_t size = 0;  // bytes

  static constexpr Range between(Address first, Address past_last) {
    return Range{first, past_last - first};
  }
  static Range of(const volatile void* pointer, std::size_t bytes) {
    return Range{Address(pointer), bytes};
  }

  constexpr Address end() const { return begin + size; }
  constexpr bool empty() const { return size == 0; }
  constexpr bool contains(Address a) const { return a >= begin && a - begin < size; }
  constexpr bool contains(Range r) const { return r.begin >= begin && r.end() <= end(); }
  constexpr bool overlaps(Range r) const { return begin < r.end() && r.begin < end(); }
  // What lies in both; empty when nothing does.
  constexpr Range intersection(Range r) const {
    const Address first = begin > r.begin ? begin : r.begin;
    const Address last = end() < r.end() ? end() : r.end();
    return first < last ? between(first, last) : Range{first, 0};
  }
  constexpr bool is_aligned(std::size_t alignment) const {
    return begin.is_aligned(alignment) && (size & (alignment - 1)) == 0;
  }
  friend constexpr bool operator==(Range, Range) = default;
};

}  // namespace weir
