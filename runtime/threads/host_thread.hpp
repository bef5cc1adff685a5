// An OS thread, as far as mutators stand on it. It may have several, of one world or of several;
// whatever makes it wait for one of them, all count as stopped meanwhile, so that two threads that
// collect two heaps never wait for each other.
//
// One per thread, in thread-local storage; only the thread itself uses it, but for `home`.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <weir/address.hpp>

#include "runtime/threads/fork_stop.hpp"

namespace weir::threads {

class MutatorThread;

class HostThread {
 public:
  // Of the calling thread. Async-signal-safe.
  static HostThread& current();

  // While one lives, a stop signal is not obeyed but remembered, and obeyed when the last one of
  // this thread goes. The first one waits while another thread forks. So nothing in between waits
  // for what a stopped thread may hold, malloc's lock first of all.
  class Section {
   public:
    explicit Section(HostThread& host) : host_(host) { host.enter_section_unless_forking(); }
    ~Section() { host_.leave_section(); }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

   private:
    HostThread& host_;
  };

  // While one lives, all mutators that run on this thread count as stopped, at a poll, so that it
  // may wait for anything; then they run again, each as soon as its world does. They nest.
  class Parked {
   public:
    explicit Parked(HostThread& host) : section_(host), host_(host) { host.park(); }
    ~Parked() { host_.unpark(); }
    Parked(const Parked&) = delete;
    Parked& operator=(const Parked&) = delete;

   private:
    Section section_;
    HostThread& host_;
  };

  // In the signal's handler; `context` is its third argument.
  void on_stop_signal(const void* context);

 private:
  friend class ForkStop;
  friend class MutatorThread;
  friend class World;
  friend struct Registry;

  // Which of the mutators: those that may be stopped anywhere, or all.
  enum class Which { by_signal, all };

  void enter_section() {
    sections_ = sections_ + 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void enter_section_unless_forking() {
    enter_section();
    if (ForkStop::is_gate_closed() && sections_ == 1) [[unlikely]]
      wait_for_fork();
  }
  void wait_for_fork();
  void leave_section() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    sections_ = sections_ - 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (is_signalled_ != 0 && sections_ == 0) obey_late();
  }

  // Thread id, stack, what is to be done when the thread ends; once per thread. Allocates: Parked.
  void prepare();
  // Signals are handled on a stack of their own; this is ours, unless the thread has one.
  void give_signal_stack();
  void drop_signal_stack();

  void link(MutatorThread& mutator);
  void unlink(MutatorThread& mutator);

  void park();
  void unpark();
  void obey_late();
  static bool concerns(Which which, const MutatorThread& mutator);
  bool has_to_stop() const;  // one that a signal may stop
  // `signal_context`: of the stop signal's handler, if it is in that.
  void stand_still(Which which, const void* signal_context);
  // Waits until their worlds run, and makes the mutators run.
  void run(Which which, const void* signal_context);

  MutatorThread* running_ = nullptr;  // stand on this thread and are not in a blocking region
  MutatorThread* home_ = nullptr;     // those, and the ones that are; under the registry's lock
  volatile std::sig_atomic_t sections_ = 0;
  volatile std::sig_atomic_t is_signalled_ = 0;
  unsigned parked_ = 0;
  bool is_prepared_ = false;
  pid_t id_ = 0;
  Range stack_;
  Range signal_stack_;  // ours; empty if the thread had one
};

}  // namespace weir::threads
