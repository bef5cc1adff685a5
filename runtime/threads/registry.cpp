#include "runtime/threads/registry.hpp"

#include <unistd.h>

#include "runtime/os/last_words.hpp"
#include "runtime/threads/mutator_thread.hpp"
#include "runtime/threads/world.hpp"

namespace weir::threads {

// Immortal: threads end while static destructors run.
Registry& Registry::the() {
  static Registry* const only = new Registry;
  return *only;
}

Registry::Registry() {
  if (::pthread_key_create(&key_, on_thread_exit) != 0)
    os::last_words("no pthread key is left, so the end of a thread would go unnoticed");
  ::pthread_atfork(
      [] {
        HostThread::current().enter_section();  // a stopped thread holds no lock
        the().lock_.lock();
      },
      [] {
        the().lock_.unlock();
        HostThread::current().leave_section();
      },
      [] {
        the().lock_.unlock();
        HostThread::current().id_ = ::gettid();  // the child's, which stop signals go to
        HostThread::current().leave_section();
      });
}

void Registry::call_at_exit(HostThread& host) {
  ::pthread_setspecific(key_, &host);
}

void Registry::on_thread_exit(void* pointer) {
  HostThread& host = *static_cast<HostThread*>(pointer);
  if (host.parked_ != 0)
    os::last_words("a thread ended that had stopped the world, or was attaching a mutator");
  host.sections_ = 0;  // it may have been cancelled anywhere
  while (MutatorThread* mutator = the().first_at_home(host)) {
    while (mutator->is_blocking()) mutator->leave_blocking();
    World& world = *mutator->world_;
    if (world.owner_ != nullptr)
      world.owner_->on_thread_exit(*mutator);
    else
      world.detach(*mutator);
    if (the().first_at_home(host) == mutator)
      os::last_words("a thread ended, and the owner of its mutator did not detach it");
  }
  host.drop_signal_stack();
  host.is_prepared_ = false;
}

MutatorThread* Registry::first_at_home(HostThread& host) {
  const HostThread::Section section(host);
  const std::lock_guard guard(lock_);
  return host.home_;
}

void Registry::go_home(MutatorThread& mutator, HostThread& host) {
  mutator.host_ = &host;
  mutator.thread_id_.store(host.id_, std::memory_order_relaxed);
  mutator.next_home_ = host.home_;
  host.home_ = &mutator;
}

void Registry::leave_home(MutatorThread& mutator) {
  MutatorThread** link = &mutator.host_->home_;
  while (*link != &mutator) link = &(*link)->next_home_;
  *link = mutator.next_home_;
}

void Registry::add(World& world, MutatorThread& mutator, HostThread& host) {
  const std::lock_guard guard(lock_);
  go_home(mutator, host);
  mutator.world_ = &world;
  mutator.next_in_world_ = world.first_;
  world.first_ = &mutator;
}

void Registry::remove(World& world, MutatorThread& mutator) {
  const std::lock_guard guard(lock_);
  leave_home(mutator);
  MutatorThread** link = &world.first_;
  while (*link != &mutator) link = &(*link)->next_in_world_;
  *link = mutator.next_in_world_;
  mutator.world_ = nullptr;
}

void Registry::move(MutatorThread& mutator, HostThread& to) {
  const std::lock_guard guard(lock_);
  leave_home(mutator);
  go_home(mutator, to);
}

}  // namespace weir::threads
