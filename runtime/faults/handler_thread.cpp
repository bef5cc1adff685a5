#include "runtime/faults/handler_thread.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/os/fault_gate.hpp"
#include "runtime/os/fd_passing.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::faults {
namespace {

constexpr int kRetryMilliseconds = 1;
// A sleeping poll(2) keeps a file open whose number somebody closed and that is another file's by
// now, and with it the protection of memory for which nobody is asked any more: look now and then.
constexpr int kHeartbeatMilliseconds = 1000;
constexpr int kRetryRounds = 64;
constexpr std::size_t kMaxDeferred = 4096;
// A process that is stopped in the middle of an munmap(2) cannot be filled: so often it is tried.
constexpr int kFinishPatience = 1000;

Fault fault_of(const PagefaultEvent& event) {
  return {event.address.align_down(os::page_size()), event.write, event.write_protected};
}

UffdFeatures events_of(const FaultSpace& space) {
  return space.descriptor().features() & UffdFeatures{UffdFeature::event_remap,
                                                      UffdFeature::event_remove,
                                                      UffdFeature::event_unmap};
}

bool is_structural(const UffdEvent& event) {
  return !std::holds_alternative<PagefaultEvent>(event);
}

}  // namespace

HandlerThread::HandlerThread(FaultSpace& local, Doorbell doorbell, std::size_t push_per_second)
    : local_(local), doorbell_(std::move(doorbell)), pace_(push_per_second) {
  events_.reserve(kBatch);
  polled_.reserve(kBatch);
  deferred_.reserve(kMaxDeferred);
}

Expected<std::unique_ptr<HandlerThread>> HandlerThread::start(FaultSpace& local,
                                                              std::size_t push_per_second) {
  auto doorbell = Doorbell::make();
  if (!doorbell) return Unexpected(doorbell.error());
  std::unique_ptr<HandlerThread> self(
      new HandlerThread(local, std::move(*doorbell), push_per_second));
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
  if (!running_) return;
  {
    const std::lock_guard guard(commands_lock_);
    stop_ = true;
  }
  poke();
  ::pthread_join(thread_, nullptr);
}

void HandlerThread::poke() {
  const std::lock_guard guard(commands_lock_);
  doorbell_.ring();
}

Expected<> HandlerThread::adopt(std::unique_ptr<FaultSpace> remote) {
  {
    const std::lock_guard guard(commands_lock_);
    arriving_.push_back(std::move(remote));
    look_for_departed_ = true;
    count_remotes();
  }
  poke();
  return {};
}

void HandlerThread::drop_departed() {
  {
    const std::lock_guard guard(commands_lock_);
    look_for_departed_ = true;
  }
  poke();
}

void HandlerThread::let_go_of_lost_local() {
  if (local_lost_.load()) return;
  std::uint32_t ticket;
  {
    const std::lock_guard guard(commands_lock_);
    ticket = ++let_go_asked_;
  }
  poke();
  for (;;) {
    const std::uint32_t done = let_go_done_.load();
    if (static_cast<std::int32_t>(done - ticket) >= 0) return;
    let_go_done_.wait(done);
  }
}

void HandlerThread::local_replaced() {
  {
    const std::lock_guard guard(commands_lock_);
    local_replaced_ = true;
  }
  poke();
}

void HandlerThread::forget_after_fork() {
  // The descriptors are closed by themselves (MemoryFd); and the thread may have been changing the
  // list of remote spaces just when the process forked.
  running_ = false;
}

void HandlerThread::settle() const {
  const std::size_t begun = batches_begun_.load();
  while (batches_done_.load() < begun) ::sched_yield();
}

// With commands_lock_ held.
void HandlerThread::count_remotes() {
  remote_count_.store(remotes_size_ + arriving_.size(), std::memory_order_relaxed);
}

HandlerThread::Commands HandlerThread::take_commands() {
  doorbell_.answer();
  Commands commands;
  bool look_for_departed = false;
  std::uint32_t let_go = 0;
  {
    const std::lock_guard guard(commands_lock_);
    if (!doorbell_.is_intact()) doorbell_.repair();
    commands.stop = stop_;
    commands.local_replaced = std::exchange(local_replaced_, false);
    look_for_departed = std::exchange(look_for_departed_, false);
    let_go = let_go_asked_;
    for (auto& space : arriving_) remotes_.push_back(std::move(space));
    arriving_.clear();
    remotes_size_ = remotes_.size();
  }
  if (commands.local_replaced) local_lost_ = false;
  if (let_go != let_go_done_.load()) {
    {
      const os::FaultGate::Answering gate;
      if (!local_.is_intact()) local_lost_ = true;
    }
    let_go_done_.store(let_go);
    let_go_done_.notify_all();
  }
  if (look_for_departed)
    for (auto& remote : remotes_)
      if (remote->is_process_gone()) lose(*remote);
  return commands;
}

// Whether there may be commands: the bell was rung, or is not to be relied upon.
bool HandlerThread::wait() {
  polled_.resize(2 + remotes_.size());
  polled_[0] = {doorbell_.fd(), POLLIN, 0};
  for (std::size_t i = 0; i < remotes_.size(); ++i)
    polled_[i + 2] = {remotes_[i]->descriptor().fd(), POLLIN, 0};
  {
    const os::FaultGate::Answering gate;  // recover() may be replacing it
    // A negative descriptor is ignored by poll(2).
    polled_[1] = {local_lost_ ? -1 : local_.descriptor().fd(), POLLIN, 0};
  }
  int timeout = deferred_.empty() ? kHeartbeatMilliseconds : kRetryMilliseconds;
  if (push_in_milliseconds_ != PushPace::kNever) timeout = std::min(timeout, push_in_milliseconds_);
  int ready;
  while ((ready = ::poll(polled_.data(), polled_.size(), timeout)) < 0 && errno == EINTR) {
  }
  rounds_.fetch_add(1, std::memory_order_relaxed);
  if (ready > 0) wakeups_.fetch_add(1, std::memory_order_relaxed);
  if (ready == 0 && timeout > 0 && !local_lost_) lose(local_);  // if it is lost
  return polled_[0].revents != 0 || (ready == 0 && !doorbell_.is_intact());
}

void HandlerThread::run() {
  for (;;) {
    if (wait()) {
      const Commands commands = take_commands();
      if (commands.stop) return finish_remotes();
      // What poll said of the old descriptor says nothing of the new one.
      if (commands.local_replaced) continue;
    }
    if (polled_[1].revents != 0) serve(local_, polled_[1].revents);
    for (std::size_t i = polled_.size(); i-- > 2;) {
      FaultSpace& remote = *remotes_[i - 2];
      if (polled_[i].revents != 0) serve(remote, polled_[i].revents);
    }
    retry_deferred();
    push();
    forget_lost_remotes();
  }
}

void HandlerThread::forget_lost_remotes() {
  const auto is_lost = [](const FaultSpace& space) {
    return space.is_remote && !space.descriptor().is_open();
  };
  std::erase_if(deferred_, [&](const Deferred& again) { return is_lost(*again.space); });
  for (const auto& remote : remotes_)
    if (is_lost(*remote))
      for (PageSource* source : remote->remote_sources) source->departed();
  std::erase_if(remotes_, [&](const auto& remote) { return is_lost(*remote); });
  if (remotes_.size() == remotes_size_) return;
  const std::lock_guard guard(commands_lock_);
  remotes_size_ = remotes_.size();
  count_remotes();
}

// The end: what is missing in other processes is filled before their descriptors are closed
// [fill-then-close]. Those that fork or change their memory meanwhile are followed as ever.
void HandlerThread::finish_remotes() {
  for (std::size_t i = 0; i < remotes_.size(); ++i) {
    FaultSpace& space = *remotes_[i];
    int patience = kFinishPatience;
    for (bool again = true; again && space.descriptor().is_open() && patience-- > 0;) {
      again = false;
      for (const auto& entry : space.table) {
        for (Address page = entry.range.begin; page < entry.range.end() && !again;
             page = page + os::page_size()) {
          const os::FaultGate::Answering gate;
          again = space.answer({page, false, false}) == Answer::retry_later;
        }
        if (again || space.process_is_gone) break;
      }
      if (space.process_is_gone || space.is_process_gone())
        lose(space);
      else if (again) {
        serve(space, POLLIN);  // reads the event that the kernel waits for
        ::poll(nullptr, 0, kRetryMilliseconds);
      }
    }
  }
}

// Reads until nothing is left, and follows changes of the address space before faults: the kernel
// delivers a fault ahead of the removal that came before it.
void HandlerThread::serve(FaultSpace& space, short revents) {
  if ((revents & POLLIN) == 0) return lose(space);  // POLLERR, POLLHUP, POLLNVAL
  for (;;) {
    events_.clear();
    batches_begun_.fetch_add(1);
    Expected<std::size_t> count = std::size_t{0};
    {
      // Who unmapped goes on as soon as its event is read, and may register other memory there:
      // only after the table knows of the event.
      std::optional<os::FaultGate::Changing> change;
      if (!space.is_remote && !events_of(space).empty()) change.emplace();
      count = read(space);
      for (const UffdEvent& event : events_)
        if (is_structural(event)) follow(space, event, change);
    }
    batches_done_.fetch_add(1);
    if (!count) return lose(space);
    answer_all(space, events_);
    if (*count < kBatch || !space.descriptor().is_open()) return;
  }
}

Expected<std::size_t> HandlerThread::read(FaultSpace& space) {
  const os::FaultGate::Answering gate;  // recover() may be replacing the descriptor
  // Closed behind our back, its number may be another file by now: not ours to read from.
  if (!space.is_intact()) return fail(ErrorCode::closed, "reading userfaultfd events");
  return space.descriptor().read_events(buffer_, events_);
}

bool HandlerThread::hand_over(FaultSpace& space, const Fault& fault) {
  FillTeam* const team = team_.load();
  if (team == nullptr || space.is_remote) return false;
  {
    const os::FaultGate::Answering gate;
    if (!space.is_slow(fault)) return false;
  }
  return team->take(fault);
}

void HandlerThread::answer_all(FaultSpace& space, std::span<const UffdEvent> events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto* event = std::get_if<PagefaultEvent>(&events[i]);
    if (event == nullptr) continue;
    const Fault fault = fault_of(*event);
    const auto same = [&](const UffdEvent& other) {
      const auto* earlier = std::get_if<PagefaultEvent>(&other);
      return earlier != nullptr && fault_of(*earlier) == fault;
    };
    // Two threads, or a signal during the wait: one answer wakes them all.
    if (std::any_of(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(i), same))
      continue;
    const bool is_last = i + 1 == events.size();
    if (is_last || !hand_over(space, fault)) answer(space, fault, 0);
  }
}

void HandlerThread::follow(FaultSpace& space, const UffdEvent& event, Change& change) {
  if (const auto* remove = std::get_if<RemoveEvent>(&event)) {
    const os::FaultGate::Answering gate;
    space.on_remove(*remove);
  } else if (const auto* fork = std::get_if<ForkEvent>(&event)) {
    add_fork_child(space, fork->child_fd);
  } else if (const auto* remap = std::get_if<RemapEvent>(&event)) {
    change_table(space, space.moved(*remap), change);
  } else if (const auto* unmap = std::get_if<UnmapEvent>(&event)) {
    {
      const os::FaultGate::Answering gate;
      space.on_unmap(*unmap);
    }
    change_table(space, space.unmapped(*unmap), change);
  }
}

void HandlerThread::change_table(FaultSpace& space, FaultSpace::Table next, Change& change) {
  if (change)
    change->publish(space.table, std::move(next));
  else
    space.table.swap(next);  // of a remote space, which only this thread looks at
}

void HandlerThread::answer(FaultSpace& space, const Fault& fault, int tries) {
  const bool has_room = deferred_.size() < kMaxDeferred;
  Answer answer;
  {
    const os::FaultGate::Answering gate;
    answer = space.answer(fault);
    if (answer == Answer::unknown && space.is_remote) answer = space.answer_stray(fault, tries);
    // Released meanwhile, or no room to remember it: the thread runs into its fault again.
    if (answer == Answer::unknown || (answer == Answer::retry_later && !has_room))
      (void)space.descriptor().wake(Range{fault.address, os::page_size()});
  }
  if (answer == Answer::retry_later && has_room) {
    deferred_.push_back({&space, fault, tries + 1});
    if (tries == 0) deferred_count_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  (answer == Answer::unknown ? unknown_ : answered_).fetch_add(1, std::memory_order_relaxed);
  if (space.process_is_gone) lose(space);
}

// Several times: a program that changes its address space without pause leaves only the moment
// between one change and the next, which comes after an event was read, and ends with the next one.
void HandlerThread::retry_deferred() {
  for (int round = 0; round < kRetryRounds && !deferred_.empty(); ++round) {
    const std::size_t left = deferred_.size();
    for (std::size_t i = 0; i < left; ++i) {
      const Deferred again = deferred_[i];
      const int tries = round == 0 ? again.tries : again.tries - 1;  // a try is a whole wait
      if (again.space->descriptor().is_open()) answer(*again.space, again.fault, tries);
    }
    deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(left));
  }
}

// One step, of the first space in turn that has something left. Those that wait for it ask again
// in a millisecond, or after the event that the kernel waits for.
void HandlerThread::push() {
  push_in_milliseconds_ = pace_.milliseconds_to_wait();
  if (push_in_milliseconds_ > 0) return;
  push_in_milliseconds_ = PushPace::kNever;
  const std::size_t spaces = remotes_.size() + 1;
  for (std::size_t i = 0; i < spaces; ++i) {
    push_turn_ = (push_turn_ + 1) % spaces;
    const FaultSpace::Pushed pushed = push(push_turn_ == 0 ? local_ : *remotes_[push_turn_ - 1]);
    if (pushed.step == FaultSpace::PushStep::retry_later)
      push_in_milliseconds_ = kRetryMilliseconds;
    if (pushed.step != FaultSpace::PushStep::some) continue;
    pace_.pushed(pushed.bytes);
    push_in_milliseconds_ = pace_.milliseconds_to_wait();
    return;
  }
}

FaultSpace::Pushed HandlerThread::push(FaultSpace& space) {
  FaultSpace::Pushed pushed{FaultSpace::PushStep::nothing_left};
  {
    const os::FaultGate::Answering gate;
    if (!space.may_push || !space.descriptor().is_open() || (!space.is_remote && local_lost_))
      return pushed;
    pushed = space.push();
    if (pushed.step == FaultSpace::PushStep::nothing_left) space.may_push = false;
  }
  if (space.process_is_gone) lose(space);
  return pushed;
}

void HandlerThread::lose(FaultSpace& space) {
  if (space.is_remote) {
    space.own(Userfaultfd());  // its process is gone, or somebody closed it
    return;
  }
  const os::FaultGate::Answering gate;
  if (space.is_intact()) return;  // replaced by now
  local_lost_ = true;
  space.stop_if_lazy();
}

void HandlerThread::add_fork_child(const FaultSpace& parent, int child_fd) {
  auto child = std::make_unique<FaultSpace>();
  child->is_remote = true;
  child->own(Userfaultfd::from_raw_fd(child_fd, parent.descriptor().features()));
  (void)os::set_non_blocking(child_fd);
  std::vector<std::pair<PageSource*, PageSource*>> children;  // a moved source has several ranges
  const auto child_of = [&](PageSource* source) {
    for (const auto& [known, its_child] : children)
      if (known == source) return its_child;
    PageSource* its_child = source->for_child();
    children.emplace_back(source, its_child);
    if (its_child != nullptr) child->remote_sources.push_back(its_child);
    return its_child;
  };
  for (const auto& entry : parent.table) {
    Answerers who = entry.value;
    who.writes = nullptr;
    if (who.source != nullptr) who.source = child_of(who.source);
    if (who.source == nullptr) {  // left to the kernel, which knows of zeros only
      (void)child->descriptor().unregister(entry.range);
      continue;
    }
    FaultSpace::Table next = child->table.with(entry.range, who);
    child->table.swap(next);
  }
  remotes_.push_back(std::move(child));
}

}  // namespace weir::faults
