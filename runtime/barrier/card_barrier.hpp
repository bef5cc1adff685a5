// cards: the software barrier. The program reports its writes; a card is a byte for each 512 bytes
// of memory. What compiled barriers of other collectors do, for comparison and for code that calls
// weir_write_barrier anyway.
#pragma once

#include <memory>

#include "runtime/barrier/barrier.hpp"
#include "runtime/os/off_heap.hpp"

namespace weir::barrier {

inline constexpr unsigned kCardShift = 9;

// For marking cards of one attached range in line: store first, then mark.
struct CardTable {
  Address begin;
  std::uint8_t* cards = nullptr;

  void mark(Address written) const {
    std::atomic_ref<std::uint8_t>(cards[(written - begin) >> kCardShift])
        .store(1, std::memory_order_release);
  }
};

class CardBarrier final : public Barrier {
 public:
  CardBarrier();
  ~CardBarrier() override { detach_all(); }

  void record(Range written) noexcept override;
  // Of exactly an attached range; valid until it is detached.
  Expected<CardTable> table_of(Range range);

 private:
  using Cards = os::OffHeapArray<std::uint8_t>;

  Expected<> begin(TrackedRange& tracked) override;
  void end(TrackedRange& tracked) override;
  Expected<> arm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> disarm_units(TrackedRange&, UnitSpan) override { return {}; }
  Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) override;
  Cards& cards_of(const TrackedRange& tracked);

  os::RangeMap<Cards*> cards_;
};

}  // namespace weir::barrier
