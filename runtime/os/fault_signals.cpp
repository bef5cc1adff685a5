#include "runtime/os/fault_signals.hpp"

#include "runtime/os/fault_gate.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/range_map.hpp"

#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace weir::os {
namespace {

using Claims = RangeMap<SignalFaultHandler*>;

// One per signal. Immortal, as the installed handler is.
struct Dispatch {
  int signal;
  bool installed = false;
  struct sigaction previous = {};
  Claims claims = {};
};

Dispatch& dispatch_of(int signal) {
  static Dispatch* const segv = new Dispatch{SIGSEGV};
  static Dispatch* const bus = new Dispatch{SIGBUS};
  return signal == SIGSEGV ? *segv : *bus;
}

bool may_be_write(const void* context) {
#if defined(__x86_64__)
  constexpr greg_t kWriteAccess = 1 << 1;  // page-fault error code
  const auto* user = static_cast<const ucontext_t*>(context);
  return (user->uc_mcontext.gregs[REG_ERR] & kWriteAccess) != 0;
#else
  return context != nullptr;
#endif
}

// A fault at an address, as opposed to a signal sent by kill(2) or a memory error.
bool is_page_fault(int signal, int code) {
  return signal == SIGSEGV ? code == SEGV_ACCERR : code == BUS_ADRERR;
}

// Would the access go through by now? Then the fault is a late one: its range was released, or its
// page unprotected, between the fault and this handler. Kernels before 5.14 cannot tell.
bool goes_through_now(const SignalFault& fault) {
  const int advice = fault.may_be_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  return ::madvise(fault.address.align_down(page_size()).as(), page_size(), advice) == 0;
}

// As the kernel would have delivered it to the handler that we replaced.
void pass_on(Dispatch& dispatch, int signal, siginfo_t* info, void* context) {
  struct sigaction& previous = dispatch.previous;
  const bool is_default = (previous.sa_flags & SA_SIGINFO) == 0 &&
                          (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN);
  if (is_default) {
    if (previous.sa_handler == SIG_IGN && info->si_code <= 0) return;  // sent, not a fault
    ::signal(signal, SIG_DFL);  // the faulting instruction runs again, and ends the process
    if (info->si_code <= 0) ::raise(signal);
    return;
  }
  const struct sigaction target = previous;
  if ((target.sa_flags & SA_RESETHAND) != 0) {
    previous.sa_handler = SIG_DFL;
    previous.sa_flags &= ~(SA_SIGINFO | SA_RESETHAND);
  }
  sigset_t mask = target.sa_mask;
  if ((target.sa_flags & SA_NODEFER) == 0) ::sigaddset(&mask, signal);
  const auto* user = static_cast<const ucontext_t*>(context);
  for (int s = 1; s < _NSIG; ++s)  // what the interrupted code blocked stays blocked
    if (::sigismember(&user->uc_sigmask, s) == 1) ::sigaddset(&mask, s);
  sigset_t ours;
  ::pthread_sigmask(SIG_SETMASK, &mask, &ours);
  if ((target.sa_flags & SA_SIGINFO) != 0)
    target.sa_sigaction(signal, info, context);
  else
    target.sa_handler(signal);
  ::pthread_sigmask(SIG_SETMASK, &ours, nullptr);
}

void on_fault_signal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  Dispatch& dispatch = dispatch_of(signal);
  if (is_page_fault(signal, info->si_code)) {
    const FaultGate::Answering answering;
    const SignalFault fault{Address(info->si_addr), may_be_write(context)};
    auto* claim = dispatch.claims.find(fault.address);
    const bool answered =
        claim != nullptr && claim->value->on_signal(fault) == SignalVerdict::retry;
    if (answered || goes_through_now(fault)) {
      errno = saved_errno;
      return;
    }
  }
  pass_on(dispatch, signal, info, context);
  errno = saved_errno;
}

Expected<> install(Dispatch& dispatch) {
  if (dispatch.installed) return {};
  struct sigaction action = {};
  action.sa_sigaction = on_fault_signal;
  // All signals wait: the suspend signal of a collector must not find us inside an answer.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigfillset(&action.sa_mask);
  if (::sigaction(dispatch.signal, &action, &dispatch.previous) != 0)
    return system_error(errno, "installing a fault handler");
  dispatch.installed = true;
  return {};
}

}  // namespace

Expected<> claim_signal(int signal, Range range, SignalFaultHandler& handler) {
  Dispatch& dispatch = dispatch_of(signal);
  FaultGate::Changing change;
  if (dispatch.claims.overlaps(range))
    return fail(ErrorCode::busy, "claiming the faults of a range", "it is claimed already", range);
  Claims next = dispatch.claims.with(range, &handler);
  if (auto done = install(dispatch); !done) return done;
  change.commit();
  dispatch.claims.swap(next);
  change.end_commit();
  return {};
}

void disclaim_signal(int signal, Range range) {
  Dispatch& dispatch = dispatch_of(signal);
  FaultGate::Changing change;
  Claims next = dispatch.claims.without(range);
  change.commit();
  dispatch.claims.swap(next);
  change.end_commit();
}

}  // namespace weir::os
