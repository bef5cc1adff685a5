// SIGSEGV and SIGBUS: ours are answered, all others reach the handler that was there before, as the
// kernel would have delivered them. Each case runs in a child, which has the process's one handler
// to itself.
#include "runtime/os/fault_signals.hpp"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <csetjmp>
#include <cstring>
#include <thread>

#include "runtime/os/fault_gate.hpp"
#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"

namespace weir {
namespace {

using namespace test;
using os::page_size;

// Answers by making the page accessible, or not at all.
struct Opener final : os::SignalFaultHandler {
  std::atomic<int> calls{0};
  std::atomic<bool> answers{true};
  std::atomic<bool> saw_write{false};
  os::SignalVerdict on_signal(const os::SignalFault& fault) noexcept override {
    calls.fetch_add(1);
    saw_write = fault.may_be_write;
    if (!answers) return os::SignalVerdict::not_ours;
    return os::set_access({fault.address.align_down(page_size()), page_size()},
                          os::Access::read_write)
               ? os::SignalVerdict::retry
               : os::SignalVerdict::not_ours;
  }
};

// Two pages without access: ours, and the host's own.
struct Pages {
  os::Mapping ours = *os::Mapping::anonymous(page_size());
  os::Mapping host = *os::Mapping::anonymous(page_size());
  Pages() {
    (void)!os::set_access(ours.range(), os::Access::none);
    (void)!os::set_access(host.range(), os::Access::none);
  }
};

volatile sig_atomic_t host_calls = 0;
sigset_t host_mask;
siginfo_t host_info;
sigjmp_buf host_jump;

void note_and_open(int, siginfo_t* info, void*) {
  host_calls = host_calls + 1;
  host_info = *info;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &host_mask);
  (void)!os::set_access({Address(info->si_addr).align_down(page_size()), page_size()},
                        os::Access::read_write);
}
void jump_out(int) {
  host_calls = host_calls + 1;
  ::siglongjmp(host_jump, 1);
}

void install_host(int signal, void (*plain)(int), void (*with_info)(int, siginfo_t*, void*),
                  int flags, int also_masked = 0) {
  struct sigaction action = {};
  if (with_info != nullptr) {
    action.sa_sigaction = with_info;
    flags |= SA_SIGINFO;
  } else {
    action.sa_handler = plain;
  }
  action.sa_flags = flags;
  if (also_masked != 0) ::sigaddset(&action.sa_mask, also_masked);
  ::sigaction(signal, &action, nullptr);
}

TEST_CASE("ours is answered and runs again; the host hears nothing of it") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, nullptr, note_and_open, 0);
    Pages pages;
    Opener opener;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    poke(pages.ours.range().begin, 42);
    if (peek(pages.ours.range().begin) != 42 || opener.calls != 1 || host_calls != 0) return 2;
#if defined(__x86_64__)
    if (!opener.saw_write) return 3;
    (void)!os::set_access(pages.ours.range(), os::Access::none);
    if (peek(pages.ours.range().begin) != 42 || opener.saw_write) return 4;
#endif
    return 0;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("a fault of the host's own reaches its SA_SIGINFO handler with everything it has") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, nullptr, note_and_open, 0, SIGUSR1);
    Pages pages;
    Opener opener;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);  // the interrupted code's own
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    const Address at = pages.host.range().begin + 24;
    errno = 1234;
    poke(at, 7);
    if (errno != 1234) return 2;
    if (host_calls != 1 || opener.calls != 0 || peek(at) != 7) return 3;
    if (host_info.si_addr != at.as() || host_info.si_code != SEGV_ACCERR) return 4;
    // Masked in it: the signal itself, what it asked for, what was masked before; nothing else.
    if (::sigismember(&host_mask, SIGSEGV) != 1 || ::sigismember(&host_mask, SIGUSR1) != 1 ||
        ::sigismember(&host_mask, SIGUSR2) != 1 || ::sigismember(&host_mask, SIGTERM) != 0)
      return 5;
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    return ::sigismember(&after, SIGUSR2) == 1 && ::sigismember(&after, SIGUSR1) == 0 &&
                   ::sigismember(&after, SIGSEGV) == 0
               ? 0
               : 6;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("SA_NODEFER leaves the signal open in the host's handler") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, nullptr, note_and_open, SA_NODEFER);
    Pages pages;
    Opener opener;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    poke(pages.host.range().begin, 7);
    return host_calls == 1 && ::sigismember(&host_mask, SIGSEGV) == 0 ? 0 : 2;
  });
  CHECK(child.exit_code == 0);
}

namespace {
struct sigaction under_chaining;
volatile sig_atomic_t chaining_calls = 0;
void chain(int signal, siginfo_t* info, void* context) {
  chaining_calls = chaining_calls + 1;
  under_chaining.sa_sigaction(signal, info, context);
}
}  // namespace

TEST_CASE(
    "a host's handler installed over ours: ours goes over it again, and the chain has an end") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, nullptr, note_and_open, 0);
    Opener opener;
    Pages first;
    if (!os::claim_signal(SIGSEGV, first.ours.range(), opener)) return 1;
    // The host's second one, which chains to what it finds: ours.
    if (::sigaction(SIGSEGV, nullptr, &under_chaining) != 0) return 2;
    install_host(SIGSEGV, nullptr, chain, 0);
    Pages second;
    if (!os::claim_signal(SIGSEGV, second.ours.range(), opener)) return 3;
    poke(second.ours.range().begin, 1);
    if (chaining_calls != 0 || opener.calls != 1) return 4;  // ours is first again
    for (int round = 1; round <= 3; ++round) {
      poke(second.host.range().begin, 1);
      if (chaining_calls != round || host_calls != round) return 5;
      (void)!os::set_access(second.host.range(), os::Access::none);
    }
    return 0;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("siglongjmp out of the host's plain handler, many times, leaves all well") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, jump_out, nullptr, 0);
    Pages pages;
    Opener opener;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    static int i;  // keeps its value across the jump
    for (i = 0; i < 100; ++i) {
      if (sigsetjmp(host_jump, 1) == 0) {
        poke(pages.host.range().begin, 7);
        return 2;
      }
      (void)!os::set_access(pages.ours.range(), os::Access::none);
      poke(pages.ours.range().begin, 7);  // the gate is free, the signal is open
    }
    { os::FaultGate::Changing change; }  // nobody holds it
    return host_calls == 100 && opener.calls == 100 ? 0 : 3;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("SA_RESETHAND: once, then the default") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, nullptr, note_and_open, SA_RESETHAND);
    Pages pages;
    Opener opener;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    poke(pages.host.range().begin, 7);
    if (host_calls != 1) return 2;
    poke(pages.ours.range().begin, 7);  // ours still works after the host's is spent
    (void)!os::set_access(pages.host.range(), os::Access::none);
    poke(pages.host.range().begin, 7);
    return 3;
  });
  CHECK(child.signal == SIGSEGV);
}

// What ends a process, and by which signal.
template <class Act>
ChildResult with_action(int signal, void (*handler)(int), Act act) {
  return in_child([&](auto) {
    install_host(signal, handler, nullptr, 0);
    Pages pages;
    Opener opener;
    if (!os::claim_signal(signal, pages.ours.range(), opener)) return 1;
    act(pages);
    return 0;
  });
}

TEST_CASE(
    "SIG_DFL and SIG_IGN: a fault ends the process with its signal, a sent one as it should") {
  const auto fault = [](Pages& pages) { poke(pages.host.range().begin, 1); };
  CHECK(with_action(SIGSEGV, SIG_DFL, fault).signal == SIGSEGV);
  CHECK(with_action(SIGSEGV, SIG_IGN, fault).signal == SIGSEGV);  // as the kernel has it
  for (const int signal : {SIGSEGV, SIGBUS}) {
    const auto send = [&](Pages&) { ::kill(::getpid(), signal); };
    CHECK(with_action(signal, SIG_DFL, send).signal == signal);
    CHECK(with_action(signal, SIG_IGN, send).exit_code == 0);
  }
}

TEST_CASE("an address that is no address ends the process") {
  const auto child = with_action(SIGSEGV, SIG_DFL, [](Pages&) {
    volatile std::uintptr_t nowhere = 0xdead'0000'0000'0000;  // not canonical
    poke(Address(nowhere), 1);
  });
  CHECK(child.signal == SIGSEGV);
}

TEST_CASE("a jump to memory that may not be executed ends the process, and does not loop") {
  const auto jump = [](Pages&) {
    static std::array<unsigned char, 16> data = {0xc3};
    void* target = data.data();
    void (*call)();
    std::memcpy(&call, &target, sizeof call);
    call();
  };
  CHECK(with_action(SIGSEGV, SIG_DFL, jump).signal == SIGSEGV);
}

TEST_CASE("beyond the end of a file: the host's SIGBUS") {
  const auto child = with_action(SIGBUS, SIG_DFL, [](Pages&) {
    const int file = ::memfd_create("empty", MFD_CLOEXEC);
    void* memory = ::mmap(nullptr, page_size(), PROT_READ, MAP_SHARED, file, 0);
    (void)peek(Address(memory));
  });
  CHECK(child.signal == SIGBUS);
}

TEST_CASE("not_ours in a claimed range goes to the host, too") {
  const auto child = in_child([](auto) {
    install_host(SIGSEGV, nullptr, note_and_open, 0);
    Pages pages;
    Opener opener;
    opener.answers = false;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    poke(pages.ours.range().begin, 1);
    return host_calls == 1 && opener.calls == 1 ? 0 : 2;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("a late fault of a page that is accessible by now goes on") {
  // The handler is in the way: it says not_ours after it opened the page, as if the range had been
  // released by another thread just then. Nobody chains: SIG_DFL would end the child.
  struct Late final : os::SignalFaultHandler {
    os::SignalVerdict on_signal(const os::SignalFault& fault) noexcept override {
      (void)!os::set_access({fault.address.align_down(page_size()), page_size()},
                            os::Access::read_write);
      return os::SignalVerdict::not_ours;
    }
  };
  const auto child = in_child([](auto) {
    Pages pages;
    Late late;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), late)) return 1;
    poke(pages.ours.range().begin, 9);
    return peek(pages.ours.range().begin) == 9 ? 0 : 2;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("faults race with the release of their range") {
  const auto child = in_child([](auto) {
    Pages pages;
    Opener opener;
    const Range range = pages.ours.range();
    for (std::size_t round = 0; round < 500; ++round) {
      (void)!os::set_access(range, os::Access::none);
      if (!os::claim_signal(SIGSEGV, range, opener)) return 1;
      std::atomic<int> ready{0};
      std::jthread writer([&] {
        ready.fetch_add(1);
        poke(range.begin, 1);
      });
      while (ready.load() == 0) {
      }
      (void)!os::set_access(range, os::Access::read_write);
      os::disclaim_signal(SIGSEGV, range);
    }
    return 0;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("on an alternate stack, and on one thread of many") {
  const auto child = in_child([](auto) {
    Pages pages;
    Opener opener;
    if (!os::claim_signal(SIGSEGV, pages.ours.range(), opener)) return 1;
    std::jthread other([&] {
      auto memory = *os::Mapping::anonymous(std::size_t{64} << 10);
      stack_t stack = {};
      stack.ss_sp = memory.as();
      stack.ss_size = memory.size();
      ::sigaltstack(&stack, nullptr);
      poke(pages.ours.range().begin, 1);
      stack.ss_flags = SS_DISABLE;
      ::sigaltstack(&stack, nullptr);
    });
    other.join();
    return opener.calls == 1 ? 0 : 2;
  });
  CHECK(child.exit_code == 0);
}

TEST_CASE("two claims may not overlap, and a refused one leaves nothing behind") {
  const auto child = in_child([](auto) {
    auto memory = *os::Mapping::anonymous(4 * page_size());
    Opener a, b;
    const Range low = page_of(memory.range(), 0, 2), high = page_of(memory.range(), 2, 2);
    if (!os::claim_signal(SIGSEGV, low, a)) return 1;
    const auto refused = os::claim_signal(SIGSEGV, page_of(memory.range(), 1, 2), b);
    if (refused || refused.error().code != ErrorCode::busy) return 2;
    if (!os::claim_signal(SIGBUS, low, b)) return 3;  // the other signal is another matter
    if (!os::claim_signal(SIGSEGV, high, b)) return 4;
    os::disclaim_signal(SIGSEGV, low);
    if (!os::claim_signal(SIGSEGV, low, b)) return 5;
    return 0;
  });
  CHECK(child.exit_code == 0);
}

}  // namespace
}  // namespace weir
