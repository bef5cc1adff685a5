// Threads that answer missing pages beside the handler thread, for sources whose answers take long:
// inflating a cluster takes longer than everything else about a fault. The handler thread hands
// over what it has read beyond one fault, which it answers itself, so that a single fault pays for
// no other thread's waking.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <memory>

#include "runtime/faults/fault_space.hpp"
#include "runtime/os/shared_lock.hpp"

namespace weir::faults {

class FillTeam {
 public:
  // `space` outlives it. Fewer threads than wanted are fine, none is an error.
  static Expected<std::unique_ptr<FillTeam>> start(FaultSpace& space, unsigned size);
  // Nobody hands anything over any more.
  ~FillTeam();

  // By the handler thread. False: there is no room, or it is nothing for the team.
  bool take(const Fault& fault) noexcept;
  // In a forked child, where its threads are not: it can only be forgotten.
  void forget_after_fork() { count_ = 0; }

  std::size_t answered() const { return answered_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kRoom = 64;
  static constexpr unsigned kMost = 15;

  explicit FillTeam(FaultSpace& space) : space_(space) {}
  void run();
  bool next(Fault& fault);
  void answer(const Fault& fault);

  FaultSpace& space_;
  os::SharedLock lock_;  // the next two
  std::array<Fault, kRoom> waiting_{};
  std::size_t size_ = 0;
  std::atomic<std::uint32_t> changes_{0};  // of them, and of ending_
  std::atomic<bool> ending_{false};
  std::atomic<std::size_t> answered_{0};
  std::array<pthread_t, kMost> threads_{};
  unsigned count_ = 0;
};

}  // namespace weir::faults
