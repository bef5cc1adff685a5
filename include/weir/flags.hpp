// A set of the flags of one enumeration whose enumerators are single bits. Two sets of different
// enumerations do not mix, and a flag's value is never mistaken for its bit number.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace weir {

template <class Enum>
class Flags {
 public:
  constexpr Flags() = default;
  constexpr Flags(Enum flag) : bits_(static_cast<std::uint64_t>(flag)) {}  // a flag is a set of one
  constexpr Flags(std::initializer_list<Enum> flags) {
    for (Enum flag : flags) bits_ |= static_cast<std::uint64_t>(flag);
  }
  static constexpr Flags from_bits(std::uint64_t bits) {
    Flags flags;
    flags.bits_ = bits;
    return flags;
  }

  constexpr std::uint64_t bits() const { return bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool has(Enum flag) const { return (bits_ & static_cast<std::uint64_t>(flag)) != 0; }
  constexpr bool has_all(Flags other) const { return (bits_ & other.bits_) == other.bits_; }
  constexpr bool has_any(Flags other) const { return (bits_ & other.bits_) != 0; }
  constexpr Flags without(Flags other) const { return from_bits(bits_ & ~other.bits_); }

  constexpr Flags& operator|=(Flags other) {
    bits_ |= other.bits_;
    return *this;
  }
  friend constexpr Flags operator|(Flags a, Flags b) { return from_bits(a.bits_ | b.bits_); }
  friend constexpr Flags operator&(Flags a, Flags b) { return from_bits(a.bits_ & b.bits_); }
  friend constexpr bool operator==(Flags, Flags) = default;

 private:
  std::uint64_t bits_ = 0;
};

}  // namespace weir
