#include "runtime/faults/handler_thread.hpp"

#include "runtime/os/fault_gate.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/os/page_size.hpp"

#include <algorithm>
#include <cerrno>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace weir::faults {
namespace {

constexpr int kRetryMilliseconds = 1;
constexpr std::size_t kMaxDeferred = 4096;

Fault fault_of(const PagefaultEvent& event) {
  return {event.address.align_down(os::page_size()), event.write, event.write_protected};
}

bool is_structural(const UffdEvent& event) { return !std::holds_alternative<PagefaultEvent>(event); }

}  // namespace

HandlerThread::HandlerThread(FaultSpace& local) : local_(local) {
  events_.reserve(kBatch);
  deferred_.reserve(kMaxDeferred);
}

Expected<std::unique_ptr<HandlerThread>> HandlerThread::start(FaultSpace& local) {
  std::unique_ptr<HandlerThread> self(new HandlerThread(local));
  self->poke_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->poke_fd_ < 0) return system_error(errno, "making an eventfd for the fault server");
  const os::BlockedSignals signals;  // inherited by the thread
  const int error = ::pthread_create(
      &self->thread_, nullptr,
      [](void* server) -> void* {
        static_cast<HandlerThread*>(server)->run();
        return nullptr;
      },
      self.get());
  if (error != 0) return system_error(error, "starting the fault server's thread");
  ::pthread_setname_np(self->thread_, "weir-faults");
  self->running_ = true;
  return self;
}

HandlerThread::~HandlerThread() {
  if (running_) {
    {
      const std::lock_guard guard(commands_lock_);
      stop_ = true;
    }
    poke();
    ::pthread_join(thread_, nullptr);
  }
  if (poke_fd_ >= 0) ::close(poke_fd_);
}

void HandlerThread::poke() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(poke_fd_, &one, sizeof(one));
}

Expected<> HandlerThread::adopt(std::unique_ptr<FaultSpace> remote) {
  {
    const std::lock_guard guard(commands_lock_);
    arriving_.push_back(std::move(remote));
    remote_count_.fetch_add(1, std::memory_order_relaxed);
  }
  poke();
  return {};
}

void HandlerThread::local_replaced() {
  {
    const std::lock_guard guard(commands_lock_);
    local_replaced_ = true;
  }
  poke();
}

void HandlerThread::forget_after_fork() {
  running_ = false;
  ::close(std::exchange(poke_fd_, -1));
  for (auto& remote : remotes_) remote->descriptor = Userfaultfd();
}

void HandlerThread::settle() const {
  const std::size_t begun = batches_begun_.load();
  while (batches_done_.load() < begun) ::sched_yield();
}

void HandlerThread::take_commands() {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t n = ::read(poke_fd_, &count, sizeof(count));
  const std::lock_guard guard(commands_lock_);
  if (std::exchange(local_replaced_, false)) local_lost_ = false;
  for (auto& space : arriving_) remotes_.push_back(std::move(space));
  arriving_.clear();
}

void HandlerThread::wait() {
  polled_.clear();
  polled_.push_back({poke_fd_, POLLIN, 0});
  // A negative descriptor is ignored by poll(2).
  polled_.push_back({local_lost_ ? -1 : local_.descriptor.fd(), POLLIN, 0});
  for (auto& remote : remotes_) polled_.push_back({remote->descriptor.fd(), POLLIN, 0});
  const int timeout = deferred_.empty() ? -1 : kRetryMilliseconds;
  while (::poll(polled_.data(), polled_.size(), timeout) < 0 && errno == EINTR) {
  }
  wakeups_.fetch_add(1, std::memory_order_relaxed);
}

void HandlerThread::run() {
  for (;;) {
    wait();
    if (polled_[0].revents != 0) {
      take_commands();
      const std::lock_guard guard(commands_lock_);
      if (stop_) return;
    }
    if (polled_[1].revents != 0) serve(local_, polled_[1].revents);
    for (std::size_t i = polled_.size(); i-- > 2;) {
      FaultSpace& remote = *remotes_[i - 2];
      if (polled_[i].revents != 0) serve(remote, polled_[i].revents);
    }
    retry_deferred();
    std::erase_if(remotes_, [](const auto& remote) { return !remote->descriptor.is_open(); });
    remote_count_.store(remotes_.size(), std::memory_order_relaxed);
  }
}

// Reads until nothing is left, and follows changes of the address space before faults: the kernel
// delivers a fault ahead of the removal that came before it.
void HandlerThread::serve(FaultSpace& space, short revents) {
  if ((revents & POLLIN) == 0) return lose(space);  // POLLERR, POLLHUP, POLLNVAL
  for (;;) {
    events_.clear();
    batches_begun_.fetch_add(1);
    const auto count = space.descriptor.read_events(buffer_, events_);
    if (count) handle(space, events_);
    batches_done_.fetch_add(1);
    if (!count) return lose(space);
    if (*count < kBatch || !space.descriptor.is_open()) return;
  }
}

void HandlerThread::handle(FaultSpace& space, std::span<const UffdEvent> events) {
  for (const UffdEvent& event : events) {
    if (!is_structural(event)) continue;
    if (const auto* remove = std::get_if<RemoveEvent>(&event)) {
      const os::FaultGate::Answering gate;
      space.on_remove(*remove);
      continue;
    }
    os::FaultGate::Changing change;
    change.commit();
    if (const auto* fork = std::get_if<ForkEvent>(&event)) add_fork_child(space, fork->child_fd);
    if (const auto* remap = std::get_if<RemapEvent>(&event)) space.on_remap(*remap);
    if (const auto* unmap = std::get_if<UnmapEvent>(&event)) space.on_unmap(*unmap);
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto* event = std::get_if<PagefaultEvent>(&events[i]);
    if (event == nullptr) continue;
    const Fault fault = fault_of(*event);
    const auto same = [&](const UffdEvent& other) {
      const auto* earlier = std::get_if<PagefaultEvent>(&other);
      return earlier != nullptr && fault_of(*earlier) == fault;
    };
    // Two threads, or a signal during the wait: one answer wakes them all.
    if (std::none_of(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(i), same))
      answer(space, fault);
  }
}

void HandlerThread::answer(FaultSpace& space, const Fault& fault) {
  Answer answer;
  {
    const os::FaultGate::Answering gate;
    answer = space.answer(fault);
    if (answer == Answer::unknown || (answer == Answer::retry_later &&
                                      deferred_.size() == kMaxDeferred)) {
      // Released meanwhile, or no room to remember it: the thread runs into its fault again.
      (void)space.descriptor.wake(Range{fault.address, os::page_size()});
    }
  }
  if (answer == Answer::retry_later && deferred_.size() < kMaxDeferred) {
    deferred_.push_back({&space, fault});
    deferred_count_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  (answer == Answer::unknown ? unknown_ : answered_).fetch_add(1, std::memory_order_relaxed);
  if (space.process_is_gone) lose(space);
}

void HandlerThread::retry_deferred() {
  std::size_t left = deferred_.size();
  for (std::size_t i = 0; i < left; ++i) {
    const Deferred again = deferred_[i];
    if (again.space->descriptor.is_open()) answer(*again.space, again.fault);
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(left));
}

void HandlerThread::lose(FaultSpace& space) {
  if (&space != &local_) {
    space.descriptor = Userfaultfd();  // its process closed it, or is gone
    return;
  }
  local_lost_ = true;
  const os::FaultGate::Answering gate;
  for (const auto& entry : local_.table) {
    if (entry.value.source != nullptr)
      os::last_words("the userfaultfd was closed behind Weir's back while pages were still to be "
                     "filled lazily; they would read as zeros, so the process stops. Keep "
                     "descriptors that you did not open",
                     entry.range.begin);
  }
}

void HandlerThread::add_fork_child(const FaultSpace& parent, int child_fd) {
  auto child = std::make_unique<FaultSpace>();
  child->descriptor = Userfaultfd::from_raw_fd(child_fd, parent.descriptor.features());
  for (const auto& entry : parent.table) {
    Answerers who = entry.value;
    who.writes = nullptr;
    if (who.source != nullptr) who.source = who.source->for_child();
    if (who.source == nullptr) continue;
    FaultSpace::Table next = child->table.with(entry.range, who);
    child->table.swap(next);
  }
  remotes_.push_back(std::move(child));
}

}  // namespace weir::faults
