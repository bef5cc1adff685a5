#include "runtime/threads/mutator_thread.hpp"

#include <cerrno>

#include "runtime/os/futex.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/threads/registry.hpp"
#include "runtime/threads/stop_signal.hpp"

namespace weir::threads {
namespace {

constexpr bool is_legal(MutatorState from, MutatorState to) {
  using enum MutatorState;
  switch (from) {
    case detached:
      return to == stopped_at_poll;  // attached
    case running:
      return to == blocked || to == stopped_at_poll || to == stopped_by_signal;
    case blocked:
    case stopped_at_poll:
      return to == running || to == detached;
    case stopped_by_signal:
      return to == running;
  }
  return false;
}

}  // namespace

const char* name_of(MutatorState state) {
  switch (state) {
    case MutatorState::detached:
      return "detached";
    case MutatorState::running:
      return "running";
    case MutatorState::blocked:
      return "blocked";
    case MutatorState::stopped_at_poll:
      return "stopped at a poll";
    case MutatorState::stopped_by_signal:
      return "stopped by a signal";
  }
  return "unknown";
}

MutatorThread::~MutatorThread() {
  if (state() != MutatorState::detached)
    os::last_words("a mutator was destroyed that is still attached", Address(this));
  forget_stacks();
}

bool MutatorThread::transition(MutatorState to) {
  std::uint32_t word = word_.load(std::memory_order_relaxed);
  for (;;) {
    const auto from = static_cast<MutatorState>(word & kStateMask);
    if (!is_legal(from, to))
      os::last_words(
          "a mutator was used in a state in which it may not be: by another thread than it is on, "
          "inside a blocking region, or detached",
          Address(this));
    const bool is_asked = (word & kStopAsked) != 0;
    if (is_asked && to == MutatorState::running) return false;
    const std::uint32_t next = (word & ~kStateMask) | static_cast<std::uint32_t>(to);
    if (!word_.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                     std::memory_order_relaxed))
      continue;
    if (is_asked && from == MutatorState::running) os::futex_wake_all(word_);
    return true;
  }
}

void MutatorThread::wait_for_resume() const {
  for (std::uint32_t word = word_.load(std::memory_order_acquire); (word & kStopAsked) != 0;
       word = word_.load(std::memory_order_acquire))
    os::futex_wait(word_, word);
}

// ---- The world's side

void MutatorThread::ask_to_stop() {
  const std::uint32_t before = word_.fetch_or(kStopAsked, std::memory_order_acq_rel);
  std::atomic_ref(poll_word_).fetch_or(kPollStop, std::memory_order_release);
  const bool is_running = static_cast<MutatorState>(before & kStateMask) == MutatorState::running;
  is_unsent_ = is_running && stop_mode_ == StopMode::signal;
  send_signal();
}

void MutatorThread::send_signal() {
  if (!is_unsent_) return;
  const int error = StopSignal::send(thread_id_.load(std::memory_order_relaxed));
  is_unsent_ = error == EAGAIN;
  if (error == ESRCH && state() == MutatorState::running)
    os::last_words(
        "the thread of an attached mutator is gone, and ran no destructors of its "
        "thread-local data: end threads by returning, or by pthread_exit",
        Address(this));
}

void MutatorThread::wait_until_stopped() {
  constexpr long kUntilNextTry = 1'000'000;
  for (std::uint32_t word = word_.load(std::memory_order_acquire);
       static_cast<MutatorState>(word & kStateMask) == MutatorState::running;
       word = word_.load(std::memory_order_acquire)) {
    if (!is_unsent_) {
      os::futex_wait(word_, word);
      continue;
    }
    os::futex_wait_for(word_, word, kUntilNextTry);
    send_signal();
  }
}

void MutatorThread::let_run() {
  std::atomic_ref(poll_word_).fetch_and(~kPollStop, std::memory_order_release);
  word_.fetch_and(~kStopAsked, std::memory_order_acq_rel);
  os::futex_wake_all(word_);
}

void MutatorThread::vanish() {
  std::atomic_ref(poll_word_).fetch_and(~kPollStop, std::memory_order_relaxed);
  word_.store(static_cast<std::uint32_t>(MutatorState::detached), std::memory_order_relaxed);
  blocking_depth_ = 0;
  host_ = nullptr;
  world_ = nullptr;
}

// ---- The thread's side

bool MutatorThread::has_to_stop() const {
  return word_.load(std::memory_order_acquire) ==
         (kStopAsked | static_cast<std::uint32_t>(MutatorState::running));
}

void MutatorThread::safepoint() {
  if (!is_stop_asked()) return;
  const HostThread::Parked parked(*host_);
}

void MutatorThread::enter_blocking() {
  if (blocking_depth_++ != 0) return;
  const HostThread::Section section(*host_);
  host_->unlink(*this);
  capture(place_);
  transition(MutatorState::blocked);
}

void MutatorThread::leave_blocking() {
  if (blocking_depth_ == 0) os::last_words("a blocking region is left that was never entered");
  if (blocking_depth_ != 1) {
    --blocking_depth_;
    return;
  }
  HostThread& host = HostThread::current();
  const HostThread::Section section(host);
  if (host_ == &host && transition(MutatorState::running)) {
    host.link(*this);
  } else {
    const HostThread::Parked parked(host);
    if (host_ != &host) {
      host.prepare();
      if (stop_mode_ == StopMode::signal) {
        StopSignal::unblock();
        host.give_signal_stack();
      }
      Registry::the().move(*this, host);
      is_new_here_ = true;
    }
    host.link(*this);  // runs with the others, when `parked` ends
  }
  blocking_depth_ = 0;
}

bool MutatorThread::try_to_run(const HostThread& host) {
  if (state() == MutatorState::running) return true;
  if (!transition(MutatorState::running)) return false;
  if (is_new_here_) {
    is_new_here_ = false;
    own_.memory_ = host.stack_;
    own_.in_use_ = Stack::InUse::nothing;
  }
  return true;
}

Expected<> MutatorThread::set_up(const HostThread& host, const ThreadOptions& options) {
  stop_mode_ = options.stop;
  is_conservative_ = options.conservative_stack || options.stop == StopMode::signal;
  own_.memory_ = host.stack_;
  own_.in_use_ = Stack::InUse::nothing;
  forget_stacks();
  if (options.stack_base != Address()) {
    const Address here(__builtin_frame_address(0));
    const bool is_on_it = host.stack_.begin < options.stack_base &&
                          options.stack_base <= host.stack_.end() && host.stack_.contains(here);
    if (options.stack_base <= here)
      return fail(ErrorCode::invalid_argument, "attaching a mutator",
                  "stack_base is not above what is on the stack now", Range{options.stack_base, 0});
    // Of a stack that is not the thread's own nobody tells where it begins.
    own_.memory_ = Range::between(is_on_it ? host.stack_.begin : Address(), options.stack_base);
  }
  if (is_conservative_ && own_.memory_.empty())
    return fail(ErrorCode::unsupported, "attaching a mutator",
                "the system does not tell where this thread's stack is", {},
                "Say so (stack_base), or keep nothing on it (conservative_stack)");
  return {};
}

}  // namespace weir::threads
