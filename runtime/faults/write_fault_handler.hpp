// What the fault server asks of a barrier. All calls come with the fault gate held shared and all
// signals blocked, from the handler thread or from a faulting thread [quiet-server].
#pragma once

#include <weir/address.hpp>
#include <weir/userfaultfd.hpp>

#include "runtime/os/function_ref.hpp"

namespace weir::faults {

enum class Answer {
  resolved,     // the faulting thread can go on (and has been woken)
  retry_later,  // the address space is changing (EAGAIN): ask again after reading events
  unknown,      // nobody answers for this address
};

// Which access made pages arrive; `faulting` is the one page that somebody waits for.
struct FillCause {
  Address faulting;
  bool write;
};

class WriteFaultHandler {
 public:
  // A store hit write protection. Records it *before* it unprotects, and unprotects that page only.
  virtual Answer on_write_fault(Address page) noexcept = 0;

  // Pages that were missing are about to arrive. Calls `fill` for each run of them with the mode
  // that keeps their tracking right, while nobody can arm or take them; stops at the first outcome
  // other than `done`.
  using Fill = os::FunctionRef<UffdOutcome(Range run, CopyMode mode)>;
  virtual UffdOutcome on_fill(Range pages, const FillCause& cause, Fill fill) noexcept = 0;

  // The program gave the memory back (MADV_DONTNEED), and its protection with it.
  virtual void on_removed(Range range) noexcept = 0;

  // The protection of the range is gone (a lost descriptor, a fork), and the range has been
  // registered anew where that was possible: everything armed counts as written. The gate is held
  // exclusively.
  virtual void on_protection_lost(Range range) noexcept = 0;

 protected:
  ~WriteFaultHandler() = default;
};

}  // namespace weir::faults
