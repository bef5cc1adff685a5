#include "runtime/threads/world.hpp"

#include <unistd.h>

#include <new>

#include "runtime/os/futex.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/threads/registry.hpp"
#include "runtime/threads/stop_signal.hpp"

namespace weir::threads {
namespace {

constexpr StopMode kByStopOrder[] = {StopMode::poll, StopMode::signal};

}  // namespace

// The list locked, by a thread all of whose mutators count as stopped while it waits for that.
class World::Locked {
 public:
  Locked(World& world, HostThread& host) : parked_(host), world_(world) {
    if (world.stopper_.load() == &host)
      os::last_words("a thread changed the mutators of a world that it had stopped itself");
    world.lock_.lock();
  }
  ~Locked() { world_.lock_.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  HostThread::Parked parked_;
  World& world_;
};

World::~World() {
  if (first_ != nullptr) os::last_words("a world was destroyed that has mutators attached");
}

Expected<> World::attach(MutatorThread& thread, const ThreadOptions& options) {
  if (thread.state() != MutatorState::detached)
    return fail(ErrorCode::busy, "attaching a mutator", "it is attached already");
  HostThread& host = HostThread::current();
  const HostThread::Parked parked(host);
  host.prepare();
  if (auto done = thread.set_up(host, options); !done) return done;
  if (options.stop == StopMode::signal) {
    if (auto done = StopSignal::install(); !done) return done;
    StopSignal::unblock();
    host.give_signal_stack();
  }
  thread.capture(thread.place_);

  const Locked locked(*this, host);
  Registry::the().add(*this, thread, host);
  thread.transition(MutatorState::stopped_at_poll);
  host.link(thread);  // runs with the others, when `parked` ends
  size_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

void World::detach(MutatorThread& thread) {
  HostThread& host = HostThread::current();
  {
    const Locked locked(*this, host);
    thread.transition(MutatorState::detached);
    host.unlink(thread);
    Registry::the().remove(*this, thread);
    size_.fetch_sub(1, std::memory_order_relaxed);
  }
  thread.blocking_depth_ = 0;
  if (!Registry::the().is_home(host)) host.drop_signal_stack();
}

bool World::stop() {
  HostThread& host = HostThread::current();
  if (host.parked_ != 0)
    os::last_words("a thread that has a world stopped asked to stop another, or itself again");
  host.enter_section();
  host.park();
  std::uint32_t epoch = epoch_.load(std::memory_order_acquire);
  if ((epoch & 1) != 0 || !epoch_.compare_exchange_strong(epoch, epoch + 1)) {
    while ((epoch & 1) != 0 && epoch_.load(std::memory_order_acquire) == epoch)
      os::futex_wait(epoch_, epoch);
    host.unpark();
    host.leave_section();
    return false;
  }
  lock_list(host);
  // Those that poll come first: one may wait, on its way to a poll, for a lock of malloc's or of
  // the loader's that a thread holds which a signal would stop; or be on one thread with one that a
  // signal would stop, and then never get to its poll.
  for (const StopMode mode : kByStopOrder) {
    ask_to_stop(mode);
    wait_until_stopped(mode);
  }
  return true;
}

void World::lock_list(HostThread& stopper) {
  lock_.lock();
  stopper_.store(&stopper);
}

void World::ask_to_stop(StopMode mode) {
  for (MutatorThread* m = first_; m != nullptr; m = m->next_in_world_)
    if (m->stop_mode() == mode) m->ask_to_stop();
}

void World::wait_until_stopped(StopMode mode) {
  for (MutatorThread* m = first_; m != nullptr; m = m->next_in_world_)
    if (m->stop_mode() == mode) m->wait_until_stopped();
}

void World::let_run(StopMode mode) {
  for (MutatorThread* m = first_; m != nullptr; m = m->next_in_world_)
    if (m->stop_mode() == mode) m->let_run();
}

void World::unlock_list() {
  stopper_.store(nullptr);
  lock_.unlock();
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  os::futex_wake_all(epoch_);
}

void World::resume() {
  HostThread& host = HostThread::current();
  if (stopper_.load() != &host)
    os::last_words("a world is resumed by a thread that did not stop it");
  for (const StopMode mode : kByStopOrder) let_run(mode);
  unlock_list();
  host.unpark();
  host.leave_section();
}

void World::for_each(os::FunctionRef<void(MutatorThread&)> visit) {
  const auto walk = [&] {
    for (MutatorThread* m = first_; m != nullptr; m = m->next_in_world_) visit(*m);
  };
  HostThread& host = HostThread::current();
  if (stopper_.load() == &host) return walk();
  const Locked locked(*this, host);
  walk();
}

void World::after_fork_in_child() {
  HostThread& host = HostThread::current();
  host.id_ = ::gettid();
  const bool is_ours = stopper_.load() == &host;
  std::size_t left = 0;
  for (MutatorThread** link = &first_; *link != nullptr;) {
    MutatorThread& mutator = **link;
    if (mutator.host_ != &host) {
      *link = mutator.next_in_world_;
      mutator.vanish();
      continue;
    }
    mutator.thread_id_.store(host.id_);
    if (!is_ours) mutator.let_run();
    link = &mutator.next_in_world_;
    ++left;
  }
  size_.store(left);
  new (&lock_) os::SharedLock;  // nobody waits for it any more
  if (is_ours) return lock_.lock();
  stopper_.store(nullptr);
  epoch_.store(epoch_.load() & ~1u);
}

}  // namespace weir::threads
