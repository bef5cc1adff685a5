// The synchronous barriers: the first write to an armed page traps, and is recorded before the page
// becomes writable. What they share; how a page is protected is left to the back-end.
//
// {record, unprotect} holds the range's lock shared, {take, re-arm} exclusively, so a page is never
// left writable without a record [no-lost-write].
#pragma once

#include "runtime/barrier/barrier.hpp"
#include "runtime/faults/write_fault_handler.hpp"

namespace weir::barrier {

class TrappingBarrier : public Barrier {
 protected:
  using Barrier::Barrier;

  // One system call each. Error `again`: nothing was done for good.
  virtual Expected<> protect(TrackedRange& tracked, UnitSpan span) = 0;
  virtual Expected<> unprotect(TrackedRange& tracked, UnitSpan span) noexcept = 0;
  // Is the mechanism still what it was at the start? Asked at each take, since a lost one would
  // just be quiet.
  virtual Expected<> check_alive() { return {}; }

  // For the fault path: records the page and lets the write through.
  faults::Answer record_and_unprotect(TrackedRange& tracked, Address page) noexcept;

  Expected<> arm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> disarm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) override;

 private:
  Expected<> take_chunk(TrackedRange& tracked, UnitSpan chunk, Then then);
  void wait_until_released(Address page) noexcept;

  std::atomic<unsigned> waits_{0};  // in a row
};

}  // namespace weir::barrier
