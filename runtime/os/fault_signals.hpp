// SIGSEGV and SIGBUS at addresses that Weir answers for; all others go on to the handler that was
// there before, as if Weir were not.
//
// The process's handler is installed with the first claim and stays. A host that installs its own
// over it should chain to ours, as ours does to what it found; with the next claim ours is
// installed over the host's again.
#pragma once

#include <weir/address.hpp>
#include <weir/error.hpp>

namespace weir::os {

struct SignalFault {
  Address address;
  bool may_be_write;  // false only where the processor said that it was a read
};

enum class SignalVerdict {
  retry,     // dealt with: run the instruction again
  not_ours,  // hand it to the previous handler
};

// Runs in the faulting thread, in signal context, all signals blocked, the fault gate held shared.
class SignalFaultHandler {
 public:
  virtual SignalVerdict on_signal(const SignalFault& fault) noexcept = 0;

 protected:
  ~SignalFaultHandler() = default;
};

// `signal` is SIGSEGV or SIGBUS. Errors: busy (overlaps a claim).
Expected<> claim_signal(int signal, Range range, SignalFaultHandler& handler);
// Returns when no handler runs for the range any more.
void disclaim_signal(int signal, Range range);

}  // namespace weir::os
