#include "runtime/os/fault_gate.hpp"

#include <pthread.h>
#include <sys/mman.h>

#include <mutex>
#include <weir/memory_fd.hpp>

#include "runtime/os/last_words.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::os {
namespace {

constexpr unsigned kNotForked = 0x5eed;

sigset_t block_all_signals() {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  return before;
}

}  // namespace

// Immortal: fault handlers may run while static destructors do.
struct FaultGate::State {
  std::mutex change;  // one structural change at a time; also over `participants`
  SharedLock lock;
  ForkParticipant* participants = nullptr;
  sigset_t signals_before_fork;
  Mapping fork_mark;  // reads as zeros in a child (MADV_WIPEONFORK)

  State() {
    auto page = Mapping::anonymous(1);
    if (page && ::madvise(page->as(), page->size(), MADV_WIPEONFORK) == 0) {
      fork_mark = std::move(*page);
      mark();
    }
    MemoryFd::follow_forks();  // before the participants open descriptors of their own
    ::pthread_atfork([] { the().before_fork(); }, [] { the().after_fork(); },
                     [] {
                       the().tell_participants();
                       the().after_fork();
                     });
  }

  static State& the() {
    static State* const only = new State;
    return *only;
  }

  void mark() {
    if (fork_mark.size() != 0) *fork_mark.as<unsigned>() = kNotForked;
  }
  bool was_forked_unnoticed() const {
    return fork_mark.size() != 0 && *fork_mark.as<unsigned>() != kNotForked;
  }

  void before_fork() {
    const sigset_t before = block_all_signals();
    change.lock();
    lock.lock();
    signals_before_fork = before;
  }
  void tell_participants() {
    mark();
    for (ForkParticipant* p = participants; p != nullptr; p = p->next_) p->after_fork_in_child();
  }
  void after_fork() {
    const sigset_t before = signals_before_fork;
    lock.unlock();
    change.unlock();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
};

BlockedSignals::BlockedSignals(Faults faults) : before_(block_all_signals()) {
  if (faults == Faults::blocked) return;
  sigset_t own;
  ::sigemptyset(&own);
  for (const int signal : {SIGSEGV, SIGBUS}) ::sigaddset(&own, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &own, nullptr);
}
BlockedSignals::~BlockedSignals() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

FaultGate::Answering::Answering() {
  State::the().lock.lock_shared();
}
FaultGate::Answering::~Answering() {
  State::the().lock.unlock_shared();
}

FaultGate::ForkNoticed::ForkNoticed() {
  if (State::the().was_forked_unnoticed())
    last_words(
        "this process was forked behind its back (a raw clone(2) or fork system call that "
        "ran no pthread_atfork handlers), so its write protection and lazy pages are gone; "
        "stopping rather than losing writes. Use fork(3), or exec right after the raw call");
}

FaultGate::Changing::Changing() {
  State::the().change.lock();
}

FaultGate::Changing::~Changing() {
  end_commit();
  State::the().change.unlock();
}

void FaultGate::Changing::commit() {
  State::the().lock.lock();
  exclusive_ = true;
}

void FaultGate::Changing::end_commit() {
  if (exclusive_) State::the().lock.unlock();
  exclusive_ = false;
}

void FaultGate::follow_forks() {
  (void)State::the();
}

void FaultGate::enlist(ForkParticipant& participant) {
  const BlockedSignals signals;
  const std::lock_guard guard(State::the().change);
  ForkParticipant** last = &State::the().participants;
  while (*last != nullptr) last = &(*last)->next_;
  *last = &participant;
}

void FaultGate::delist(ForkParticipant& participant) {
  const BlockedSignals signals;
  const std::lock_guard guard(State::the().change);
  ForkParticipant** link = &State::the().participants;
  while (*link != nullptr && *link != &participant) link = &(*link)->next_;
  if (*link != nullptr) *link = participant.next_;
  participant.next_ = nullptr;
}

}  // namespace weir::os
