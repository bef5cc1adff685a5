#include "runtime/threads/host_thread.hpp"

#include <pthread.h>
#include <unistd.h>

#include "runtime/os/off_heap.hpp"
#include "runtime/threads/mutator_thread.hpp"
#include "runtime/threads/registry.hpp"

// The cold end of the main thread's stack, by the dynamic linker of glibc.
extern "C" [[gnu::weak]] void* __libc_stack_end;  // NOLINT(readability-identifier-naming)

namespace weir::threads {
namespace {

constinit thread_local HostThread this_thread;

Range stack_of_this_thread() {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) {
    // Of the main thread it asks /proc, which may be out of reach. Nobody knows where that ends.
    const bool is_main = ::gettid() == ::getpid() && &__libc_stack_end != nullptr;
    return is_main ? Range::between(Address(), Address(__libc_stack_end)) : Range{};
  }
  void* lowest = nullptr;
  std::size_t size = 0;
  ::pthread_attr_getstack(&attributes, &lowest, &size);
  ::pthread_attr_destroy(&attributes);
  return Range::of(lowest, size);
}

// What a handler needs, with the vector registers that the kernel puts there and with sanitizers.
std::size_t signal_stack_size() {
  return static_cast<std::size_t>(::sysconf(_SC_MINSIGSTKSZ)) + (std::size_t{64} << 10);
}

}  // namespace

HostThread& HostThread::current() {
  return this_thread;
}

void HostThread::prepare() {
  if (is_prepared_) return;
  id_ = ::gettid();
  stack_ = stack_of_this_thread();
  Registry::the().call_at_exit(*this);
  is_prepared_ = true;
}

void HostThread::give_signal_stack() {
  stack_t present = {};
  if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return;
  const std::size_t size = signal_stack_size();
  void* memory = os::off_heap_allocate(size);
  if (memory == nullptr) return;  // then the thread's own stack has to do
  const stack_t stack = {memory, 0, size};
  ::sigaltstack(&stack, nullptr);
  signal_stack_ = Range::of(memory, size);
}

void HostThread::drop_signal_stack() {
  if (signal_stack_.empty()) return;
  stack_t present = {};
  if (::sigaltstack(nullptr, &present) == 0 && Address(present.ss_sp) == signal_stack_.begin) {
    const stack_t none = {nullptr, SS_DISABLE, 0};
    if (::sigaltstack(&none, nullptr) != 0) return;  // we stand on it
  }
  os::off_heap_free(signal_stack_.begin.as(), signal_stack_.size);
  signal_stack_ = {};
}

// One store publishes or removes a mutator: a signal handler may look at the list at any moment.
void HostThread::link(MutatorThread& mutator) {
  mutator.next_running_ = running_;
  std::atomic_signal_fence(std::memory_order_release);
  running_ = &mutator;
}

void HostThread::unlink(MutatorThread& mutator) {
  MutatorThread** link = &running_;
  while (*link != nullptr && *link != &mutator) link = &(*link)->next_running_;
  if (*link != nullptr) *link = mutator.next_running_;
}

bool HostThread::concerns(Which which, const MutatorThread& mutator) {
  return which == Which::all || mutator.stop_mode_ == StopMode::signal;
}

bool HostThread::has_to_stop() const {
  for (const MutatorThread* m = running_; m != nullptr; m = m->next_running_)
    if (concerns(Which::by_signal, *m) && m->has_to_stop()) return true;
  return false;
}

void HostThread::stand_still(Which which, const void* signal_context) {
  for (MutatorThread* m = running_; m != nullptr; m = m->next_running_)
    if (concerns(which, *m) && m->state() == MutatorState::running) m->stand_still(signal_context);
}

void HostThread::run(Which which, const void* signal_context) {
  for (;;) {
    for (MutatorThread* m = running_; m != nullptr; m = m->next_running_)
      if (concerns(which, *m)) m->wait_for_resume();
    MutatorThread* refused = running_;
    while (refused != nullptr && (!concerns(which, *refused) || refused->try_to_run(*this)))
      refused = refused->next_running_;
    if (refused == nullptr) return;
    stand_still(which, signal_context);  // while one waits, all count as stopped
  }
}

void HostThread::wait_for_fork() {
  while (ForkStop::is_gate_closed()) {
    leave_section();  // stops by signals are obeyed here
    ForkStop::wait_at_gate();
    enter_section();
  }
}

void HostThread::park() {
  if (parked_++ == 0) stand_still(Which::all, nullptr);
}

void HostThread::unpark() {
  if (parked_ == 1) {
    ForkStop::wait_at_gate();
    run(Which::all, nullptr);
  }
  --parked_;
}

// A poll, but for those only that signals may stop: this may be where code that polls least expects
// one.
void HostThread::obey_late() {
  while (is_signalled_ != 0 && sections_ == 0) {
    is_signalled_ = 0;
    sections_ = 1;
    if (has_to_stop()) {
      stand_still(Which::by_signal, nullptr);
      run(Which::by_signal, nullptr);
    }
    sections_ = 0;
  }
}

void HostThread::on_stop_signal(const void* context) {
  if (sections_ != 0) {
    is_signalled_ = 1;
    return;
  }
  enter_section();
  if (has_to_stop()) {  // else late, or for a mutator that went into a blocking region
    stand_still(Which::by_signal, context);
    run(Which::by_signal, context);
  }
  leave_section();
}

}  // namespace weir::threads
