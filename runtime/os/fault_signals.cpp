#include "runtime/os/fault_signals.hpp"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "runtime/os/fault_gate.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/range_map.hpp"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace weir::os {
namespace {

using Claims = RangeMap<SignalFaultHandler*>;

// A handler that ours was installed over.
struct Previous {
  struct sigaction action = {};       // written once, before ours is installed over it
  std::atomic<bool> is_spent{false};  // it was SA_RESETHAND, and has run
};

// One per signal. Immortal, as the installed handler is.
struct Dispatch {
  static constexpr std::size_t kMaxLayers = 8;

  int signal;
  // The host may install a handler over ours, and we ours over that with the next claim. Oldest
  // first.
  Previous layers[kMaxLayers] = {};
  std::atomic<std::size_t> layer_count{0};
  Claims claims = {};
};

Dispatch& dispatch_of(int signal) {
  static Dispatch* const segv = new Dispatch{SIGSEGV};
  static Dispatch* const bus = new Dispatch{SIGBUS};
  return signal == SIGSEGV ? *segv : *bus;
}

// What the processor says of the access. Elsewhere than on x86-64 a read cannot be told from a
// write, and counts as one; a jump can, since it is where the program counter is.
struct Access {
  bool may_be_write;
  bool is_jump;
};

Access access_of(const siginfo_t* info, const void* context) {
  const auto* user = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  constexpr greg_t kWriteAccess = 1 << 1;  // page-fault error code
  constexpr greg_t kInstructionFetch = 1 << 4;
  const greg_t code = user->uc_mcontext.gregs[REG_ERR];
  const auto counter = static_cast<std::uintptr_t>(user->uc_mcontext.gregs[REG_RIP]);
  return {(code & kWriteAccess) != 0,
          (code & kInstructionFetch) != 0 || Address(info->si_addr) == Address(counter)};
#elif defined(__aarch64__)
  return {true, Address(info->si_addr) == Address(user->uc_mcontext.pc)};
#else
#error "which register is the program counter?"
#endif
}

// A fault at an address, as opposed to a signal sent by kill(2) or a memory error.
bool is_page_fault(int signal, int code) {
  return signal == SIGSEGV ? code == SEGV_ACCERR : code == BUS_ADRERR;
}

// Would the access go through by now? Then the fault is a late one: its range was released, or its
// page unprotected, between the fault and this handler. Kernels before 5.14 cannot tell. Not for
// jumps: a page that can be read need not be executable. And not under the gate: the page may be
// one that the handler thread has to fill first.
bool goes_through_now(const SignalFault& fault) {
  const int advice = fault.may_be_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  return ::madvise(fault.address.align_down(page_size()).as(), page_size(), advice) == 0;
}

// How often this fault has been passed on already: a host's handler that we passed it to may chain
// to ours, which it found there. A call from there has the same signal information, and stands
// deeper on the stack; a new fault after a handler that jumped away does not stand deeper.
struct Passing {
  const siginfo_t* info = nullptr;
  Address frame;
  std::size_t depth = 0;
};
thread_local constinit Passing passing;

std::size_t times_passed_on(const siginfo_t* info, Address frame) {
  const bool is_chained = passing.info == info && frame < passing.frame;
  return is_chained ? passing.depth : 0;
}

// As the kernel would have delivered it to the handler that we replaced: the newest first, then,
// when that one chains to us, the one before.
void pass_on(Dispatch& dispatch, int signal, siginfo_t* info, void* context) {
  const Address frame(__builtin_frame_address(0));
  const std::size_t passed = times_passed_on(info, frame);
  const std::size_t layers = dispatch.layer_count.load(std::memory_order_acquire);
  Previous& previous = dispatch.layers[layers - 1 - std::min(passed, layers - 1)];
  const struct sigaction& target = previous.action;
  const bool has_none =
      passed >= layers || ((target.sa_flags & SA_SIGINFO) == 0 &&
                           (target.sa_handler == SIG_DFL || target.sa_handler == SIG_IGN));
  const bool is_spent = (target.sa_flags & SA_RESETHAND) != 0 && previous.is_spent.exchange(true);
  if (has_none || is_spent) {
    // Sent by kill(2), or news of a memory error elsewhere: no instruction will raise it again.
    const bool is_news = info->si_code <= 0 || (signal == SIGBUS && info->si_code == BUS_MCEERR_AO);
    if (has_none && target.sa_handler == SIG_IGN && is_news) return;
    ::signal(signal, SIG_DFL);  // the faulting instruction runs again, and ends the process
    if (is_news) ::raise(signal);
    return;
  }
  sigset_t mask = target.sa_mask;
  if ((target.sa_flags & SA_NODEFER) == 0) ::sigaddset(&mask, signal);
  const auto* user = static_cast<const ucontext_t*>(context);
  for (int s = 1; s < _NSIG; ++s)  // what the interrupted code blocked stays blocked
    if (::sigismember(&user->uc_sigmask, s) == 1) ::sigaddset(&mask, s);
  const Passing outer = passing;
  passing = {info, frame, passed + 1};
  sigset_t ours;
  ::pthread_sigmask(SIG_SETMASK, &mask, &ours);
  if ((target.sa_flags & SA_SIGINFO) != 0)
    target.sa_sigaction(signal, info, context);
  else
    target.sa_handler(signal);
  ::pthread_sigmask(SIG_SETMASK, &ours, nullptr);
  passing = outer;
}

void on_fault_signal(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  Dispatch& dispatch = dispatch_of(signal);
  if (is_page_fault(signal, info->si_code)) {
    const Access access = access_of(info, context);
    const SignalFault fault{Address(info->si_addr), access.may_be_write};
    bool answered = false;
    {
      const FaultGate::Answering answering;
      auto* claim = dispatch.claims.find(fault.address);
      // SIGSEGV at a jump: nobody here takes the right to read or execute away.
      const bool may_be_ours = claim != nullptr && !(signal == SIGSEGV && access.is_jump);
      answered = may_be_ours && claim->value->on_signal(fault) == SignalVerdict::retry;
    }
    if (answered || (!access.is_jump && goes_through_now(fault))) {
      errno = saved_errno;
      return;
    }
  }
  pass_on(dispatch, signal, info, context);
  errno = saved_errno;
}

// Installs our handler where it is not the current one. A host may have installed its own over
// ours, which may or may not chain; over it, ours works either way.
Expected<> install(Dispatch& dispatch) {
  constexpr const char* kWhat = "installing a fault handler";
  const std::size_t layers = dispatch.layer_count.load(std::memory_order_relaxed);
  struct sigaction current = {};
  if (::sigaction(dispatch.signal, nullptr, &current) != 0) return system_error(errno, kWhat);
  if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == on_fault_signal) return {};
  if (layers == Dispatch::kMaxLayers)
    return fail(ErrorCode::busy, kWhat, "the host has replaced Weir's too often", {},
                "Install the program's handlers once, and let them chain to what they find");
  struct sigaction action = {};
  action.sa_sigaction = on_fault_signal;
  // All signals wait: the suspend signal of a collector must not find us inside an answer.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigfillset(&action.sa_mask);
  // Known beforehand: another thread may fault as soon as ours is there.
  dispatch.layers[layers].action = current;
  dispatch.layer_count.store(layers + 1, std::memory_order_release);
  if (::sigaction(dispatch.signal, &action, nullptr) == 0) return {};
  dispatch.layer_count.store(layers, std::memory_order_release);
  return system_error(errno, kWhat);
}

}  // namespace

Expected<> claim_signal(int signal, Range range, SignalFaultHandler& handler) {
  Dispatch& dispatch = dispatch_of(signal);
  FaultGate::Changing change;
  if (dispatch.claims.overlaps(range))
    return fail(ErrorCode::busy, "claiming the faults of a range", "it is claimed already", range);
  if (auto done = install(dispatch); !done) return done;
  change.publish(dispatch.claims, dispatch.claims.with(range, &handler));
  return {};
}

void disclaim_signal(int signal, Range range) {
  Dispatch& dispatch = dispatch_of(signal);
  FaultGate::Changing change;
  change.publish(dispatch.claims, dispatch.claims.without(range));
}

}  // namespace weir::os
