// The one lock over the structure of what Weir watches: which ranges, which descriptors, which
// handlers. There is one per process.
//
// Shared: answering a fault; arm, disarm and take. Exclusive: attach and detach, opening a lost
// descriptor anew, and fork(2), so that a child never inherits an answer half given. Holders block
// all signals: a host's signal handler that touches watched memory while its thread holds the gate
// would wait for itself. Nobody touches watched memory or allocates while holding it.
#pragma once

#include <csignal>

#include "runtime/os/shared_lock.hpp"

namespace weir::os {

// Blocks every signal in this thread while it lives. `Faults::delivered`: but SIGSEGV and SIGBUS,
// for threads that are made meanwhile and inherit this. A thread that touches a heap runs into
// faults that are ours to answer, and one whose fault's signal is blocked ends the process.
class BlockedSignals {
 public:
  enum class Faults { blocked, delivered };
  explicit BlockedSignals(Faults faults = Faults::blocked);
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

// Told in the child of a fork(2), with the gate held exclusively, in the order of enlistment.
class ForkParticipant {
 public:
  virtual ~ForkParticipant() = default;
  virtual void after_fork_in_child() noexcept = 0;

 private:
  friend class FaultGate;
  ForkParticipant* next_ = nullptr;
};

class FaultGate {
  // Before the lock is touched: a fork that went unnoticed may have copied it locked.
  struct ForkNoticed {
    ForkNoticed();
  };

 public:
  // For fault handlers, in which all signals are blocked already.
  class Answering {
   public:
    Answering();
    ~Answering();
    Answering(const Answering&) = delete;
    Answering& operator=(const Answering&) = delete;
  };

  // For arm, disarm and take. Ends the process with a sentence when a fork went unnoticed (a raw
  // clone(2) that runs no pthread_atfork handlers): protection and lazy pages are gone there.
  class Operating {
   public:
    Operating() {}

   private:
    BlockedSignals signals_;
    ForkNoticed noticed_;
    Answering shared_;
  };

  // For attach and detach; ends the process like Operating. Construct it, prepare new tables
  // (allocation is fine, one thread at a time is here), then commit(): exclusive until destroyed.
  class Changing {
   public:
    Changing();
    ~Changing();
    void commit();
    // Leaves the exclusive part early; old tables may be freed after it.
    void end_commit();
    // All of that for a change that is one table: faults meet the old one or `next`, never between.
    template <class Table>
    void publish(Table& table, Table next) {
      commit();
      table.swap(next);
      end_commit();
    }

   private:
    BlockedSignals signals_;
    ForkNoticed noticed_;
    bool exclusive_ = false;
  };

  // From here on fork(2) takes the gate. Whatever uses the gate sees to it; called early by those
  // whose own fork handlers have to come before (prepare) and after (child) the gate's.
  static void follow_forks();

  static void enlist(ForkParticipant& participant);
  static void delist(ForkParticipant& participant);

 private:
  struct State;
};

}  // namespace weir::os
