// async: userfaultfd write protection that the kernel itself resolves (WP_ASYNC), read and re-armed
// in one walk of the page tables (PAGEMAP_SCAN). No trap in user space, no thread, no signal, no
// privilege, and system calls that write are seen. Linux 6.7.
//
// "Written" and "not armed" are the same to the kernel, so a take over a range where both occur
// only looks, then arms again what was armed: one walk instead of one per armed run, and nothing
// that was left unarmed gets armed in passing.
#pragma once

#include <array>
#include <memory>

#include "runtime/barrier/barrier.hpp"
#include "runtime/faults/fault_server.hpp"
#include "runtime/os/pagemap.hpp"

namespace weir::barrier {

class AsyncBarrier final : public Barrier, public faults::WriteFaultHandler {
 public:
  // `delivery` is that of missing pages, for ranges that have a page source.
  static Expected<std::unique_ptr<Barrier>> open(Delivery delivery);
  ~AsyncBarrier() override;

  faults::FaultServer* server() override { return server_.get(); }

  faults::Answer on_write_fault(Address page) noexcept override;
  UffdOutcome on_fill(Range pages, const faults::FillCause& cause, Fill fill) noexcept override;
  void on_removed(Range) noexcept override {}  // a hole counts as written
  void on_protection_lost(Range range) noexcept override;

 private:
  AsyncBarrier(const BarrierTraits& traits, std::unique_ptr<faults::FaultServer> server,
               os::Pagemap pagemap);
  Expected<> begin(TrackedRange& tracked) override;
  void end(TrackedRange& tracked) override;
  Expected<> arm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> arm_arriving_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> disarm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) override;
  Expected<> recover() override;
  Expected<> rearm_taken(TrackedRange& tracked, UnitSpan span);

  std::unique_ptr<faults::FaultServer> server_;
  os::Pagemap pagemap_;
  std::array<os::PageRegion, 512> regions_;  // of the thread that takes
};

}  // namespace weir::barrier
