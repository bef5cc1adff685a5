// A byte for each 512 bytes of memory, which whoever writes there sets: what the barrier `cards`
// reads, and weir_write_barrier marks. A plain value; the memory belongs to whoever made the table.
#pragma once

#include <atomic>
#include <cstdint>
#include <weir/address.hpp>
#include <weir/error.hpp>

namespace weir::barrier {

inline constexpr unsigned kCardShift = 9;

struct CardTable {
  Range covered;                  // whole pages
  std::uint8_t* cards = nullptr;  // of `covered`, at a multiple of 8; nullptr: no table
  Range owned = {};  // the part whose cards have memory, or get it from the table's owner in time

  // Memory for the cards of `range`, which is outside of `owned`; they are clear.
  Expected<> commit(Range range) const;
  // They are clear again, and need no memory.
  void discard(Range range) const;

  std::uint8_t* card_of(Address a) const { return cards + ((a - covered.begin) >> kCardShift); }
  // Store first, then mark.
  void mark(Address written) const {
    std::atomic_ref(*card_of(written)).store(1, std::memory_order_release);
  }
  // For weir_mutator: the card of address a is biased()[a >> kCardShift].
  unsigned char* biased() const {
    return (Address(cards) - (covered.begin.value() >> kCardShift)).as<unsigned char>();
  }
};

}  // namespace weir::barrier
