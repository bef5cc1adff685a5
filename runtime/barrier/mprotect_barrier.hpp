// mprotect: armed pages are read-only, and SIGSEGV in the writing thread records the write. Works
// everywhere; a system call that writes into an armed page fails with EFAULT, and every run of
// pages that differs from its neighbours is a mapping of its own.
//
// Near vm.max_map_count it unprotects more than the page written, which then counts as written, and
// says so; memory that cannot be protected again counts as written until it can.
#pragma once

#include <atomic>
#include <memory>

#include "runtime/barrier/trapping_barrier.hpp"
#include "runtime/os/fault_signals.hpp"

namespace weir::barrier {

class MprotectBarrier final : public TrappingBarrier, public os::SignalFaultHandler {
 public:
  static Expected<std::unique_ptr<Barrier>> open();
  ~MprotectBarrier() override;

  os::SignalVerdict on_signal(const os::SignalFault& fault) noexcept override;

 private:
  explicit MprotectBarrier(const BarrierTraits& traits, std::size_t mappings_allowed);
  Expected<> begin(TrackedRange& tracked) override;
  void end(TrackedRange& tracked) override;
  Expected<> protect(TrackedRange& tracked, UnitSpan span) override;
  Expected<> unprotect(TrackedRange& tracked, UnitSpan span) noexcept override;
  Expected<> unprotect_around(TrackedRange& tracked, UnitSpan span, std::size_t units) noexcept;
  std::size_t first_width() const;

  const std::size_t mappings_allowed_;
  std::atomic<std::ptrdiff_t> mappings_added_{0};  // at most; our share of the process's
};

}  // namespace weir::barrier
