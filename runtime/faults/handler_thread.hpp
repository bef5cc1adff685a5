// The thread that answers userfaults: waits for messages of one local and any number of remote
// descriptors, and puts off what the kernel cannot do while an address space changes. Between
// answers it lets each source in turn push what nobody asked for yet.
//
// It sleeps in poll(2) when nothing is put off, looking once a second whether its descriptor is
// still its own, blocks all signals, and allocates only when another process joins or forks.
#pragma once

#include <poll.h>
#include <pthread.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "runtime/faults/doorbell.hpp"
#include "runtime/faults/fault_space.hpp"
#include "runtime/faults/fill_team.hpp"
#include "runtime/faults/push_pace.hpp"
#include "runtime/os/fault_gate.hpp"

namespace weir::faults {

class HandlerThread {
 public:
  // `local` outlives the thread. `push_per_second`: bytes, 0 for no limit.
  static Expected<std::unique_ptr<HandlerThread>> start(FaultSpace& local,
                                                        std::size_t push_per_second = 0);
  // Stops it; nobody may wait for a fault of `local` any more. What other processes miss is filled.
  ~HandlerThread();

  Expected<> adopt(std::unique_ptr<FaultSpace> remote);
  // Faults of slow sources go to `team`, too, from now on. It outlives this.
  void hand_over_to(FillTeam& team) { team_.store(&team); }
  // The local descriptor has a source that may want to push.
  void push_local() { poke(); }
  // Looks which processes are gone, soon, and closes their descriptors.
  void drop_departed();
  // The local descriptor was lost: returns when the thread sleeps on it no more. A sleeping poll(2)
  // keeps the file open, and its ranges registered, whoever closed the number. Nothing held.
  void let_go_of_lost_local();
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
  std::size_t rounds() const { return rounds_.load(std::memory_order_relaxed); }
  std::size_t remote_spaces() const { return remote_count_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kBatch = 64;

  struct Deferred {
    FaultSpace* space;
    Fault fault;
    int tries;
  };
  struct Commands {
    bool stop = false;
    bool local_replaced = false;
  };

  HandlerThread(FaultSpace& local, Doorbell doorbell, std::size_t push_per_second);
  void run();
  void poke();
  Commands take_commands();
  bool wait();
  void count_remotes();
  void forget_lost_remotes();
  void finish_remotes();
  void serve(FaultSpace& space, short revents);
  Expected<std::size_t> read(FaultSpace& space);
  bool hand_over(FaultSpace& space, const Fault& fault);
  void answer_all(FaultSpace& space, std::span<const UffdEvent> events);
  using Change = std::optional<os::FaultGate::Changing>;
  void follow(FaultSpace& space, const UffdEvent& event, Change& change);
  void change_table(FaultSpace& space, FaultSpace::Table next, Change& change);
  void answer(FaultSpace& space, const Fault& fault, int tries);
  void retry_deferred();
  void push();
  FaultSpace::Pushed push(FaultSpace& space);
  void lose(FaultSpace& space);
  void add_fork_child(const FaultSpace& parent, int child_fd);

  FaultSpace& local_;
  std::atomic<FillTeam*> team_{nullptr};
  std::atomic<bool> local_lost_{false};  // set by the thread: it does not sleep on it
  pthread_t thread_{};
  bool running_ = false;

  std::mutex commands_lock_;
  Doorbell doorbell_;  // changed by the thread only, with the lock held
  bool stop_ = false;
  bool local_replaced_ = false;
  bool look_for_departed_ = false;
  std::uint32_t let_go_asked_ = 0;
  std::size_t remotes_size_ = 0;  // of remotes_; changed by the thread only
  std::vector<std::unique_ptr<FaultSpace>> arriving_;

  // Only the thread itself:
  std::vector<std::unique_ptr<FaultSpace>> remotes_;
  std::vector<pollfd> polled_;
  UffdEventBuffer buffer_{kBatch};
  std::vector<UffdEvent> events_;
  std::vector<Deferred> deferred_;
  PushPace pace_;
  std::size_t push_turn_ = 0;                    // whose turn it is: 0 the local one's
  int push_in_milliseconds_ = PushPace::kNever;  // for poll(2)

  std::atomic<std::size_t> batches_begun_{0};
  std::atomic<std::size_t> batches_done_{0};
  std::atomic<std::uint32_t> let_go_done_{0};
  std::atomic<std::size_t> answered_{0};
  std::atomic<std::size_t> deferred_count_{0};
  std::atomic<std::size_t> unknown_{0};
  std::atomic<std::size_t> wakeups_{0};
  std::atomic<std::size_t> rounds_{0};
  std::atomic<std::size_t> remote_count_{0};
};

}  // namespace weir::faults
