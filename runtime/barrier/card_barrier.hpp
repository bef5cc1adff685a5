// cards: the software barrier. The program reports its writes; a card is a byte for each 512 bytes
// of memory. What compiled barriers of other collectors do, for comparison and for code that calls
// weir_write_barrier anyway.
#pragma once

#include "runtime/barrier/barrier.hpp"
#include "runtime/barrier/card_table.hpp"
#include "runtime/os/off_heap.hpp"

namespace weir::barrier {

class CardBarrier final : public Barrier {
 public:
  // Attached ranges that lie in `shared` have their cards there, so that one table, which somebody
  // else owns, serves all who mark. It starts as zeros, outlives the attachment, and is touched for
  // parts that are armed or taken only: the rest needs no memory. Outside of what the owner gives
  // memory to, this does. Any other range has a table of its own.
  explicit CardBarrier(const CardTable& shared = {});
  ~CardBarrier() override { detach_all(); }

  void record(Range written) noexcept override;
  // Of exactly an attached range; valid until it is detached.
  Expected<CardTable> table_of(Range range);

 private:
  struct Cards {
    CardTable table;
    os::OffHeapArray<std::uint8_t> own;  // empty where the table is the shared one
  };

  Expected<> begin(TrackedRange& tracked) override;
  void end(TrackedRange& tracked) override;
  Expected<> arm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> arm_arriving_units(TrackedRange& tracked, UnitSpan span) override {
    tracked.armed.set(span);  // its cards are clear: nobody can have written there
    return {};
  }
  Expected<> disarm_units(TrackedRange&, UnitSpan) override { return {}; }
  Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) override;
  std::uint8_t* cards_of(const TrackedRange& tracked);

  const CardTable shared_;
  os::RangeMap<Cards*> cards_;  // owned
};

}  // namespace weir::barrier
