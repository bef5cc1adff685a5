#include "runtime/collector/finalizer_thread.hpp"

#include <limits>
#include <new>
#include <system_error>

#include "runtime/collector/heap.hpp"
#include "runtime/collector/settings.hpp"
#include "runtime/os/fault_gate.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

Expected<> FinalizerThread::start() {
  const std::lock_guard guard(lock_);
  return start_locked();
}

Expected<> FinalizerThread::start_locked() {
  if (thread_.joinable()) return {};
  ending_ = false;
  is_due_ = true;  // some may be already
  try {
    const os::BlockedSignals inherited(os::BlockedSignals::Faults::delivered);
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return system_error(error.code().value(), "starting the finalizer thread");
  }
  is_lost_ = false;
  return {};
}

void FinalizerThread::stop() {
  {
    const std::lock_guard guard(lock_);
    ending_ = true;
    is_lost_ = false;
  }
  changed_.notify_all();
  if (!thread_.joinable()) return;
  // It may have to stop the world before it ends, and this thread may be part of that.
  const threads::HostThread::Parked parked(threads::HostThread::current());
  thread_.join();
}

void FinalizerThread::wake() {
  const std::lock_guard guard(lock_);
  if (is_lost_ && !start_locked()) return;  // the next time
  is_due_ = true;
  changed_.notify_all();
}

void FinalizerThread::after_fork_in_child() {
  new (&changed_) std::condition_variable;  // whoever waited is not here
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) {
    new (&thread_) std::thread;  // nothing to join
    is_lost_ = !ending_;
  }
  lock_.unlock();
}

void FinalizerThread::run() {
  auto mutator = heap_.attach(default_mutator_config());
  if (!mutator) os::last_words("the finalizer thread cannot attach to its heap");
  std::unique_lock guard(lock_);
  while (!ending_) {
    if (!is_due_) {
      (*mutator)->thread().enter_blocking();
      changed_.wait(guard, [this] { return is_due_ || ending_; });
      guard.unlock();
      (*mutator)->thread().leave_blocking();
      guard.lock();
      continue;
    }
    is_due_ = false;
    guard.unlock();
    heap_.run_finalizers(**mutator, std::numeric_limits<std::size_t>::max());
    guard.lock();
  }
  guard.unlock();
  (void)heap_.detach(**mutator);
}

}  // namespace weir::collector
