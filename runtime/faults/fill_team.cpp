#include "runtime/faults/fill_team.hpp"

#include <sched.h>

#include <algorithm>
#include <mutex>

#include "runtime/os/fault_gate.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::faults {

Expected<std::unique_ptr<FillTeam>> FillTeam::start(FaultSpace& space, unsigned size) {
  std::unique_ptr<FillTeam> team(new FillTeam(space));
  const os::BlockedSignals blocked;  // which the threads inherit
  int why = 0;
  while (team->count_ < std::min(size, kMost)) {
    const auto run = [](void* self) -> void* {
      static_cast<FillTeam*>(self)->run();
      return nullptr;
    };
    pthread_t& thread = team->threads_[team->count_];
    why = ::pthread_create(&thread, nullptr, run, team.get());
    if (why != 0) break;
    ::pthread_setname_np(thread, "weir-fill");
    ++team->count_;
  }
  if (team->count_ == 0) return system_error(why, "starting threads that fill missing pages");
  return team;
}

FillTeam::~FillTeam() {
  ending_.store(true);
  changes_.fetch_add(1);
  os::futex_wake_all(changes_);
  for (unsigned i = 0; i < count_; ++i) ::pthread_join(threads_[i], nullptr);
}

// From here on: the fault path [quiet-server].

bool FillTeam::take(const Fault& fault) noexcept {
  {
    const std::lock_guard guard(lock_);
    if (size_ == kRoom) return false;
    waiting_[size_++] = fault;
  }
  changes_.fetch_add(1);
  os::futex_wake_all(changes_);
  return true;
}

bool FillTeam::next(Fault& fault) {
  const std::lock_guard guard(lock_);
  if (size_ == 0) return false;
  fault = waiting_[0];
  std::copy(waiting_.begin() + 1, waiting_.begin() + static_cast<std::ptrdiff_t>(size_),
            waiting_.begin());
  --size_;
  return true;
}

void FillTeam::run() {
  while (!ending_.load()) {
    const std::uint32_t seen = changes_.load();
    Fault fault;
    if (next(fault))
      answer(fault);
    else if (!ending_.load())
      os::futex_wait(changes_, seen);
  }
}

void FillTeam::answer(const Fault& fault) {
  while (!ending_.load()) {
    Answer answer = Answer::unknown;
    {
      const os::FaultGate::Answering gate;
      answer = space_.answer(fault);
      if (answer == Answer::unknown)  // released meanwhile: the thread runs into its fault again
        (void)space_.descriptor().wake(Range{fault.address, os::page_size()});
    }
    if (answer != Answer::retry_later) break;
    ::sched_yield();  // the handler thread reads the event that the kernel waits for
  }
  answered_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace weir::faults
