#include "runtime/collector/mark_team.hpp"

#include <new>
#include <system_error>

#include "runtime/os/fault_gate.hpp"

namespace weir::collector {

MarkTeam::~MarkTeam() {
  {
    const std::lock_guard guard(lock_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void MarkTeam::start() {
  const os::BlockedSignals inherited(os::BlockedSignals::Faults::delivered);
  while (threads_.size() + 1 < size_) {
    try {
      const auto index = static_cast<unsigned>(threads_.size() + 1);
      threads_.emplace_back([this, index] { member(index); });
    } catch (const std::system_error&) {
      size_ = static_cast<unsigned>(threads_.size() + 1);
    }
  }
}

void MarkTeam::after_fork_in_child() {
  for (std::thread& thread : threads_) new (&thread) std::thread;  // nothing to join
  threads_.clear();
  new (&lock_) std::mutex;
  new (&changed_) std::condition_variable;
  round_ = 0;
}

void MarkTeam::member(unsigned index) {
  unsigned seen = 0;
  std::unique_lock guard(lock_);
  for (;;) {
    changed_.wait(guard, [&] { return ending_ || round_ != seen; });
    if (ending_) return;
    seen = round_;
    const auto* work = work_;
    guard.unlock();
    (*work)(index);
    guard.lock();
    if (--busy_ == 0) changed_.notify_all();
  }
}

void MarkTeam::run(unsigned members, os::FunctionRef<void(unsigned)> work) {
  if (members > 1) {
    const std::lock_guard guard(lock_);
    work_ = &work;
    busy_ = size_ - 1;
    ++round_;
    changed_.notify_all();
  }
  work(0);
  if (members > 1) {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [&] { return busy_ == 0; });
  }
}

}  // namespace weir::collector
