// uffd-thread and uffd-sigbus: userfaultfd write protection, answered by the fault server's thread
// or by SIGBUS in the writing thread. Linux 5.7; unpopulated memory needs 6.4 or is populated here.
#pragma once

#include <memory>

#include "runtime/barrier/trapping_barrier.hpp"
#include "runtime/faults/fault_server.hpp"

namespace weir::barrier {

class UffdBarrier final : public TrappingBarrier, public faults::WriteFaultHandler {
 public:
  // `user_mode_only`: settle for a descriptor with which system calls that write get EFAULT.
  static Expected<std::unique_ptr<Barrier>> open(Delivery delivery, bool user_mode_only);
  ~UffdBarrier() override;

  faults::FaultServer* server() override { return server_.get(); }

  faults::Answer on_write_fault(Address page) noexcept override;
  UffdOutcome on_fill(Range pages, const faults::FillCause& cause, Fill fill) noexcept override;
  void on_removed(Range range) noexcept override;
  void on_protection_lost(Range range) noexcept override;

 private:
  UffdBarrier(BarrierKind kind, const BarrierTraits& traits,
              std::unique_ptr<faults::FaultServer> server);
  Expected<> begin(TrackedRange& tracked) override;
  Expected<> arm_arriving_units(TrackedRange& tracked, UnitSpan span) override;
  void end(TrackedRange& tracked) override;
  Expected<> protect(TrackedRange& tracked, UnitSpan span) override;
  Expected<> unprotect(TrackedRange& tracked, UnitSpan span) noexcept override;
  Expected<> check_alive() override;
  void settle() override { server_->settle(); }
  Expected<> recover() override;

  std::unique_ptr<faults::FaultServer> server_;
};

}  // namespace weir::barrier
