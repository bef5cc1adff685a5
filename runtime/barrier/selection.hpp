// Opens a barrier by name, or the best one that proves itself here.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "runtime/barrier/barrier.hpp"
#include "runtime/barrier/card_table.hpp"

namespace weir::barrier {

struct BarrierOptions {
  std::optional<BarrierKind> kind;   // nullopt: choose
  std::optional<Delivery> delivery;  // of userfaults; nullopt: what the barrier needs
  bool accept_efault = false;        // system calls that write to armed pages may fail
  bool writers_are_stopped = false;  // during arm and take
  CardTable cards{};  // for `cards`: that of all memory to be attached, if there is one
};

struct Selection {
  std::unique_ptr<Barrier> barrier;
  std::vector<BarrierRefusal> refusals;  // of better ones, best first
};

// One barrier, proven by its self-test. The pair of barrier and delivery must be one that can
// exist.
Expected<std::unique_ptr<Barrier>> open_barrier(BarrierKind kind,
                                                std::optional<Delivery> delivery = {},
                                                bool user_mode_only = false,
                                                const CardTable& cards = {});

// What the options ask for, overridden by WEIR_BARRIER and WEIR_DELIVERY.
Expected<Selection> select_barrier(const BarrierOptions& options);

// What that takes without a kind, and `auto` stands for; the environment is not looked at. async;
// uffd-thread with a full userfaultfd; soft-dirty with stopped writers; where EFAULT is accepted
// uffd-sigbus, uffd-thread in user mode and mprotect; at last always-dirty, which never fails.
Expected<Selection> select_best_barrier(const BarrierOptions& options);

}  // namespace weir::barrier
