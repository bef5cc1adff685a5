// Places where the tests make a race wide: each is a hook that is normally absent, one relaxed
// load.
#pragma once

#include <atomic>
#include <weir/address.hpp>

namespace weir::barrier {

struct FaultInjection {
  using Hook = void (*)();

  // Between the record of a write and the removal of its protection.
  static inline std::atomic<Hook> before_unprotect{nullptr};
  // Between taking the records and protecting their pages again.
  static inline std::atomic<Hook> before_rearm{nullptr};

  // Whether the report of a written run gets lost, as no barrier may: so that the tests can show
  // that they would notice.
  using Loses = bool (*)(Range run);
  static inline std::atomic<Loses> report{nullptr};

  static bool is_lost(Range run) noexcept {
    const Loses loses = report.load(std::memory_order_relaxed);
    return loses != nullptr && loses(run);
  }
  static void at(const std::atomic<Hook>& point) noexcept {
    if (const Hook hook = point.load(std::memory_order_relaxed); hook != nullptr) hook();
  }
};

}  // namespace weir::barrier
