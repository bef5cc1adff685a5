#include "runtime/threads/fork_stop.hpp"

#include "runtime/os/fault_gate.hpp"
#include "runtime/os/futex.hpp"
#include "runtime/threads/mutator_thread.hpp"
#include "runtime/threads/registry.hpp"
#include "runtime/threads/world.hpp"

namespace weir::threads {

constinit std::atomic<std::uint32_t> ForkStop::gate{0};

void ForkStop::follow_forks() {
  os::FaultGate::follow_forks();
  (void)Registry::the();
}

bool ForkStop::is_inside_runtime() {
  return HostThread::current().sections_ != 0;
}

void ForkStop::begin() {
  HostThread& host = HostThread::current();
  host.enter_section_unless_forking();
  host.park();
}

void ForkStop::stop(Worlds worlds) {
  HostThread& host = HostThread::current();
  worlds([&host](World& world) {
    world.epoch_.fetch_add(1, std::memory_order_acq_rel);
    world.lock_list(host);
  });
  // All worlds together, for the reason that World::stop has: a thread that a signal stops for one
  // world would never get to its poll for another.
  worlds([](World& world) { world.ask_to_stop(StopMode::poll); });
  worlds([](World& world) { world.wait_until_stopped(StopMode::poll); });
  gate.store(1);
  worlds([](World& world) { world.ask_to_stop(StopMode::signal); });
  worlds([](World& world) { world.wait_until_stopped(StopMode::signal); });
  worlds([](World& world) { world.let_run(StopMode::signal); });
}

void ForkStop::after_fork_in_child() {
  const HostThread& host = HostThread::current();
  for (MutatorThread* m = host.home_; m != nullptr; m = m->next_home_)
    m->world_->after_fork_in_child();
}

void ForkStop::resume(Worlds worlds) {
  gate.store(0);
  os::futex_wake_all(gate);
  worlds([](World& world) {
    world.let_run(StopMode::poll);
    world.unlock_list();
  });
}

void ForkStop::end() {
  HostThread& host = HostThread::current();
  host.unpark();
  host.leave_section();
}

void ForkStop::wait_at_gate() {
  while (is_gate_closed()) os::futex_wait(gate, 1);
}

}  // namespace weir::threads
