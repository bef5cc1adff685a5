// The thread that answers userfaults: waits for messages of one local and any number of remote
// descriptors, and puts off what the kernel cannot do while an address space changes.
//
// It sleeps in poll(2) without a timeout when nothing is put off, blocks all signals, and allocates
// only when another process joins or forks.
#pragma once

#include "runtime/faults/fault_space.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <poll.h>
#include <pthread.h>
#include <span>
#include <vector>

namespace weir::faults {

class HandlerThread {
 public:
  // `local` outlives the thread.
  static Expected<std::unique_ptr<HandlerThread>> start(FaultSpace& local);
  ~HandlerThread();  // stops it; nobody may wait for a fault of `local` any more

  Expected<> adopt(std::unique_ptr<FaultSpace> remote);
  // The local descriptor was replaced: poll the new one.
  void local_replaced();
  // Returns when all events that were read before the call have been acted upon. Nothing held.
  void settle() const;
  // In a forked child: the thread is gone, the remote spaces are the parent's.
  void forget_after_fork();

  std::size_t answered() const { return answered_.load(std::memory_order_relaxed); }
  std::size_t deferred() const { return deferred_count_.load(std::memory_order_relaxed); }
  std::size_t unknown() const { return unknown_.load(std::memory_order_relaxed); }
  std::size_t wakeups() const { return wakeups_.load(std::memory_order_relaxed); }
  std::size_t remote_spaces() const { return remote_count_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kBatch = 64;

  struct Deferred {
    FaultSpace* space;
    Fault fault;
  };

  explicit HandlerThread(FaultSpace& local);
  void run();
  void poke();
  void take_commands();
  void wait();
  void serve(FaultSpace& space, short revents);
  void handle(FaultSpace& space, std::span<const UffdEvent> events);
  void answer(FaultSpace& space, const Fault& fault);
  void retry_deferred();
  void lose(FaultSpace& space);
  void add_fork_child(const FaultSpace& parent, int child_fd);

  FaultSpace& local_;
  bool local_lost_ = false;
  int poke_fd_ = -1;
  pthread_t thread_{};
  bool running_ = false;

  std::mutex commands_lock_;
  bool stop_ = false;
  bool local_replaced_ = false;
  std::vector<std::unique_ptr<FaultSpace>> arriving_;

  // Only the thread itself:
  std::vector<std::unique_ptr<FaultSpace>> remotes_;
  std::vector<pollfd> polled_;
  UffdEventBuffer buffer_{kBatch};
  std::vector<UffdEvent> events_;
  std::vector<Deferred> deferred_;

  std::atomic<std::size_t> batches_begun_{0};
  std::atomic<std::size_t> batches_done_{0};
  std::atomic<std::size_t> answered_{0};
  std::atomic<std::size_t> deferred_count_{0};
  std::atomic<std::size_t> unknown_{0};
  std::atomic<std::size_t> wakeups_{0};
  std::atomic<std::size_t> remote_count_{0};
};

}  // namespace weir::faults
