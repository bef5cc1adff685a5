// The mutator threads of one heap, and how they are stopped: by polls, by signals, or not at all
// while they are in blocking regions. Any thread.
//
// From stop() to resume() nothing here allocates, and the collector calls no malloc either: a
// thread that a signal stopped may hold its lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <weir/error.hpp>

#include "runtime/os/function_ref.hpp"
#include "runtime/os/shared_lock.hpp"
#include "runtime/threads/mutator_thread.hpp"

namespace weir::threads {

// Whoever made the mutators.
class WorldOwner {
 public:
  // A thread ends while the mutator is attached: called on that thread, with the mutator running
  // (out of its blocking regions). It has to detach the mutator, and may then free it.
  virtual void on_thread_exit(MutatorThread& thread) noexcept = 0;

 protected:
  ~WorldOwner() = default;
};

class World {
 public:
  // Without an owner, a thread that ends is merely detached.
  explicit World(WorldOwner* owner = nullptr) : owner_(owner) {}
  // Empty by then.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // The calling thread. A thread may be attached to several worlds, and to one more than once
  // (it stops at polls, then, if one of these polls). It runs afterwards; waits while the world is
  // stopped. Errors: busy (`thread` is attached already, or the stop signal has a handler of
  // somebody else's), invalid_argument (WEIR_STOP_SIGNAL, or `stack_base` is above the present
  // stack).
  Expected<> attach(MutatorThread& thread, const ThreadOptions& options);
  // The thread that the mutator is on; any thread if the mutator is in a blocking region and nobody
  // leaves it any more. Waits while the world is stopped.
  void detach(MutatorThread& thread);

  // By a mutator, outside blocking regions, or by any other thread.
  //
  // True: all mutators are stopped, this thread's own included, until it calls resume(); its
  // mutators of other worlds count as stopped, too, so it may not touch their heaps. False: another
  // thread had the world stopped, and has resumed it by now: look again whether a stop is needed.
  //
  // Whoever stops holds no lock that a mutator may wait for outside of blocking regions, and stops
  // one world at a time.
  [[nodiscard]] bool stop();
  void resume();
  // By any thread; tells the truth to the one that stopped it, and to those that work for it.
  bool is_stopped() const { return (epoch_.load(std::memory_order_acquire) & 1) != 0; }

  // Each attached mutator. The thread that stopped the world calls it without further ado; any
  // other waits for the lock, and so until the world is resumed. `visit` neither attaches nor
  // detaches.
  void for_each(os::FunctionRef<void(MutatorThread&)> visit);
  // At this moment.
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

  // In the child of a fork(2), which has only the calling thread: its mutators stay what they were,
  // the world runs, unless it was this thread that had stopped it. All others are detached, with no
  // word to the owner; their stacks are nobody's, and not scanned. The owner sees to it that no
  // other thread is inside a collection at the moment of the fork (fork_stop.hpp).
  void after_fork_in_child();

 private:
  class Locked;
  friend class ForkStop;
  friend struct Registry;

  // The parts of a stop, by a thread that is parked.
  void lock_list(HostThread& stopper);
  void ask_to_stop(StopMode mode);
  void wait_until_stopped(StopMode mode);
  void let_run(StopMode mode);
  void unlock_list();

  WorldOwner* const owner_;
  os::SharedLock lock_;  // the list; held from stop to resume
  MutatorThread* first_ = nullptr;
  std::atomic<std::size_t> size_{0};
  std::atomic<std::uint32_t> epoch_{0};  // odd: stopped, or being stopped; a futex
  std::atomic<HostThread*> stopper_{nullptr};
};

}  // namespace weir::threads
