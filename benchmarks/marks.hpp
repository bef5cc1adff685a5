// What follows a store where the barrier does not see it by itself.
#pragma once

#include <cstdint>
#include <weir/address.hpp>
#include <weir/error.hpp>

#include "runtime/barrier/barrier.hpp"

namespace weir::bench {

// A byte to be set after a store, `card_shift` bits of address apart; nullptr: nothing to do.
struct Marks {
  std::uint8_t* cards = nullptr;
  unsigned card_shift = 0;
};

// Of exactly an attached range.
Expected<Marks> marks_of(barrier::Barrier& barrier, Range attached);

}  // namespace weir::bench
