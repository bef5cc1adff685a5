#include "runtime/faults/fault_server.hpp"

#include <sched.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

#include "runtime/os/fd_passing.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::faults {
namespace {

UffdFeatures events_in(UffdFeatures features) {
  return features & UffdFeatures{UffdFeature::event_remap, UffdFeature::event_remove,
                                 UffdFeature::event_unmap};
}

constexpr const char* kRegistering = "registering memory with the fault server";

Unexpected not_registered(Range range) {
  return fail(ErrorCode::not_registered, "releasing memory from the fault server",
              "it is not a range that was registered", range);
}

Expected<> check_whole_pages(Range range, const char* what) {
  if (range.empty() || !range.is_aligned(os::page_size()))
    return fail(ErrorCode::misaligned, what, "start and size must be multiples of the page size",
                range);
  return {};
}

}  // namespace

Expected<std::unique_ptr<FaultServer>> FaultServer::start(const Options& options) {
  if (options.required.has(UffdFeature::event_fork) || options.wanted.has(UffdFeature::event_fork))
    return fail(ErrorCode::invalid_argument, "starting a fault server",
                "event-fork is for the descriptors of other processes; a fork of this process is "
                "followed without it");
  const UffdFeatures events = events_in(options.required | options.wanted);
  if (options.delivery == Delivery::sigbus && !events.empty())
    return fail(ErrorCode::invalid_argument, "starting a fault server",
                "events need a thread that reads them: with delivery by SIGBUS, whoever unmaps or "
                "moves memory would wait for ever");
  std::unique_ptr<FaultServer> self(new FaultServer(options));
  if (options.delivery == Delivery::sigbus) self->options_.required |= UffdFeature::sigbus;
  if (auto opened = self->open(); !opened) return tl::unexpected(opened.error());
  os::FaultGate::enlist(*self);
  return self;
}

Expected<> FaultServer::open() {
  Userfaultfd::Builder builder;
  builder.require_features(options_.required).want_features(options_.wanted);
  builder.require_full(options_.require_full).user_mode_only(options_.user_mode_only);
  auto descriptor = builder.create();
  if (!descriptor) return tl::unexpected(descriptor.error());
  space_.own(std::move(*descriptor));
  return {};
}

FaultServer::~FaultServer() {
  for (Range range = any_range(); !range.empty(); range = any_range()) (void)!release(range);
  os::FaultGate::delist(*this);
  thread_.reset();
  team_.reset();
}

Range FaultServer::any_range() const {
  const os::FaultGate::Changing change;  // events may be changing the table
  return space_.table.empty() ? Range{} : space_.table.begin()->range;
}

Expected<> FaultServer::start_thread_if_needed() {
  if (thread_ != nullptr || options_.delivery != Delivery::thread) return {};
  auto thread = HandlerThread::start(space_, options_.push_per_second);
  if (!thread) return tl::unexpected(thread.error());
  thread_ = std::move(*thread);
  return {};
}

// Without one the thread does it all: slower, no more.
void FaultServer::start_team() {
  if (team_ != nullptr || thread_ == nullptr) return;
  auto team = FillTeam::start(space_, std::max(std::thread::hardware_concurrency(), 2u) - 1);
  if (!team) return;
  team_ = std::move(*team);
  thread_->hand_over_to(*team_);
}

Expected<> FaultServer::add(Range range, const Answerers& more) {
  os::FaultGate::Changing change;
  const bool resolved_in_kernel = more.source == nullptr && features().has(UffdFeature::wp_async) &&
                                  events_in(features()).empty();
  if (!resolved_in_kernel)
    if (auto started = start_thread_if_needed(); !started) return started;

  if (more.source != nullptr && more.source->is_slow()) start_team();
  Answerers who = more;
  FaultSpace::Table next;
  if (auto* known = space_.table.find_exactly(range); known != nullptr) {
    const bool twice = (more.source != nullptr && known->value.source != nullptr) ||
                       (more.writes != nullptr && known->value.writes != nullptr);
    if (twice) return fail(ErrorCode::busy, kRegistering, "it is registered already", range);
    if (known->value.source != nullptr) {
      who.source = known->value.source;
      who.source_origin = known->value.source_origin;
    }
    if (known->value.writes != nullptr) who.writes = known->value.writes;
    next = space_.table.without(range).with(range, who);
  } else if (space_.table.overlaps(range)) {
    return fail(ErrorCode::busy, kRegistering, "it overlaps a range that is registered already",
                range);
  } else {
    next = space_.table.with(range, who);
  }
  // The table first: a fault may come as soon as the range is registered.
  change.commit();
  space_.table.swap(next);
  auto registered = space_.descriptor().register_with_mode(range, who.modes());
  if (!registered) space_.table.swap(next);
  if (more.source != nullptr) space_.may_push = true;
  change.end_commit();
  if (!registered) return tl::unexpected(registered.error());
  if (more.source != nullptr && thread_ != nullptr) thread_->push_local();
  return {};
}

Expected<> FaultServer::watch_writes(Range range, WriteFaultHandler& handler) {
  const bool by_signal =
      options_.delivery == Delivery::sigbus && !features().has(UffdFeature::wp_async);
  Answerers more;
  more.writes = &handler;
  return claim_and_add(range, more, by_signal);
}

Expected<> FaultServer::serve_missing(Range range, PageSource& source) {
  Answerers more;
  more.source = &source;
  more.source_origin = range.begin;
  return claim_and_add(range, more, options_.delivery == Delivery::sigbus);
}

Expected<> FaultServer::claim_and_add(Range range, const Answerers& more, bool by_signal) {
  if (auto aligned = check_whole_pages(range, kRegistering); !aligned) return aligned;
  bool claimed_here = false;
  if (by_signal) {
    auto claimed = os::claim_signal(SIGBUS, range, *this);
    claimed_here = claimed.has_value();
    // The other half of the pair may have claimed it; any other overlap is refused by add().
    if (!claimed && claimed.error().code != ErrorCode::busy) return claimed;
  }
  auto added = add(range, more);
  if (!added && claimed_here) os::disclaim_signal(SIGBUS, range);
  return added;
}

Expected<> FaultServer::fill_missing(Range range) {
  for (Address page = range.begin;;) {
    {
      const os::FaultGate::Changing change;
      auto* known = space_.table.find_exactly(range);
      if (known == nullptr) return not_registered(range);
      const Answerers& who = known->value;
      if (who.source == nullptr) return {};
      for (; page < range.end(); page = page + os::page_size()) {
        if (who.source->is_filled(who.offset_of(page))) continue;
        if (space_.answer({page, false, false}) == Answer::retry_later) break;
      }
    }
    if (page == range.end()) return {};
    // Holding nothing: the thread may need the gate to get to the event that the kernel waits for.
    ::sched_yield();
  }
}

Expected<> FaultServer::bring_in(Range part) {
  if (auto aligned = check_whole_pages(part, "bringing in missing pages"); !aligned) return aligned;
  for (Address page = part.begin; page < part.end();) {
    Answer answer = Answer::resolved;
    {
      const os::FaultGate::Operating gate;
      auto* entry = space_.table.find(page);
      if (entry == nullptr || entry->value.source == nullptr)
        return fail(ErrorCode::not_registered, "bringing in missing pages", "nobody serves them",
                    part);
      if (!entry->value.source->is_filled(entry->value.offset_of(page)))
        answer = space_.answer({page, false, false});
    }
    if (answer == Answer::retry_later)
      ::sched_yield();  // holding nothing, as in fill_missing
    else
      page = page + os::page_size();
  }
  return {};
}

Expected<> FaultServer::release(Range range, Unfilled unfilled) {
  if (unfilled == Unfilled::fill)
    if (auto filled = fill_missing(range); !filled) return filled;
  {
    os::FaultGate::Changing change;
    if (space_.table.find_exactly(range) == nullptr) return not_registered(range);
    FaultSpace::Table next = space_.table.without(range);
    change.commit();
    space_.table.swap(next);
    (void)space_.descriptor().remove_write_protection(range);
    (void)space_.descriptor().wake(range);  // UNREGISTER does not wake who waits for protection
    (void)space_.descriptor().unregister(range);
    change.end_commit();
  }
  if (options_.delivery == Delivery::sigbus) os::disclaim_signal(SIGBUS, range);
  return {};
}

UffdResult FaultServer::protect(Range range) const {
  return space_.descriptor().write_protect(range);
}

UffdResult FaultServer::unprotect(Range range, WakeMode wake) const {
  return space_.descriptor().remove_write_protection(range, wake);
}

bool FaultServer::serves_missing(Range range) const {
  auto* entry = const_cast<FaultSpace::Table&>(space_.table).find_around(range);
  return entry != nullptr && entry->value.source != nullptr;
}

bool FaultServer::is_missing(Address page) const {
  auto* entry = const_cast<FaultSpace::Table&>(space_.table).find(page);
  return entry != nullptr && entry->value.source != nullptr &&
         !entry->value.source->is_filled(entry->value.offset_of(page));
}

void FaultServer::settle() const {
  if (thread_ == nullptr) return;
  if (features().has(UffdFeature::event_remove) || thread_->remote_spaces() != 0) thread_->settle();
}

bool FaultServer::is_alive() const {
  return is_whole_.load(std::memory_order_relaxed) && space_.is_intact();
}

Expected<> FaultServer::recover() {
  HandlerThread* thread = nullptr;
  {
    const os::FaultGate::Changing change;
    if (is_alive()) return {};
    space_.stop_if_lazy();
    thread = thread_.get();
  }
  if (thread != nullptr) thread->let_go_of_lost_local();
  os::FaultGate::Changing change;
  if (is_alive()) return {};  // another thread was quicker
  change.commit();
  auto reopened = reopen();
  change.end_commit();
  return reopened;
}

// With the gate held exclusively.
Expected<> FaultServer::reopen() {
  // The number may be somebody else's file by now: it is given up then, not closed.
  if (!space_.is_intact()) (void)space_.descriptor().release();
  auto opened = open();
  if (opened) opened = register_everything();
  // A process that was just forked, say, may have the lost file open for a while longer: protection
  // is still that file's, and will go with it, unseen.
  is_whole_.store(opened.has_value(), std::memory_order_relaxed);
  for (const auto& entry : space_.table)
    if (entry.value.writes != nullptr) entry.value.writes->on_protection_lost(entry.range);
  if (thread_ != nullptr && space_.is_intact()) thread_->local_replaced();
  return opened;
}

// All that can be; the first error.
Expected<> FaultServer::register_everything() {
  Expected<> first;
  for (const auto& entry : space_.table) {
    auto registered = space_.descriptor().register_with_mode(entry.range, entry.value.modes());
    if (!registered && first) first = tl::unexpected(registered.error());
  }
  return first;
}

Expected<> FaultServer::adopt(Userfaultfd descriptor, std::span<const RemotePages> pages) {
  constexpr const char* kWhat = "serving another process";
  if (options_.delivery != Delivery::thread)
    return fail(ErrorCode::invalid_argument, kWhat,
                "faults of other processes need a server with thread delivery");
  auto remote = std::make_unique<FaultSpace>();
  remote->is_remote = true;
  remote->own(std::move(descriptor));
  // POLLERR is all that the kernel says of blocking ones.
  if (!remote->is_intact() || !os::set_non_blocking(remote->descriptor().fd()))
    return fail(ErrorCode::invalid_argument, kWhat, "the descriptor is not a userfaultfd");
  for (const RemotePages& p : pages) {
    if (auto aligned = check_whole_pages(p.range, kWhat); !aligned) return aligned;
    if (remote->table.overlaps(p.range))
      return fail(ErrorCode::busy, kWhat, "two of its ranges overlap", p.range);
    Answerers who;
    who.source = p.source;
    who.source_origin = p.range.begin;
    FaultSpace::Table next = remote->table.with(p.range, who);
    remote->table.swap(next);
    remote->remote_sources.push_back(p.source);
  }
  os::FaultGate::Changing change;
  if (auto started = start_thread_if_needed(); !started) return started;
  return thread_->adopt(std::move(remote));
}

void FaultServer::drop_departed() {
  const os::FaultGate::Changing change;
  if (thread_ != nullptr) thread_->drop_departed();
}

std::size_t FaultServer::remote_spaces() const {
  const os::FaultGate::Changing change;  // the thread may be starting
  return thread_ != nullptr ? thread_->remote_spaces() : 0;
}

ServerCounters FaultServer::counters() const {
  const os::FaultGate::Changing change;  // the thread may be starting
  ServerCounters counters;
  counters.answered = answered_by_signal_.load(std::memory_order_relaxed);
  counters.unknown = unknown_by_signal_.load(std::memory_order_relaxed);
  if (thread_ != nullptr) {
    counters.answered += thread_->answered() + (team_ != nullptr ? team_->answered() : 0);
    counters.deferred = thread_->deferred();
    counters.unknown += thread_->unknown();
    counters.wakeups = thread_->wakeups();
    counters.rounds = thread_->rounds();
  }
  return counters;
}

os::SignalVerdict FaultServer::on_signal(const os::SignalFault& fault) noexcept {
  if (space_.answer_untold(fault.address, fault.may_be_write) == Answer::unknown) {
    unknown_by_signal_.fetch_add(1, std::memory_order_relaxed);
    return os::SignalVerdict::not_ours;
  }
  answered_by_signal_.fetch_add(1, std::memory_order_relaxed);
  return os::SignalVerdict::retry;  // also after `retry_later`: the store faults again
}

void FaultServer::after_fork_in_child() noexcept {
  const bool had_thread = thread_ != nullptr;
  if (had_thread) {
    thread_->forget_after_fork();
    (void)thread_.release();  // its state may be half changed; the thread itself is not here
  }
  const bool had_team = team_ != nullptr;
  if (had_team) {
    team_->forget_after_fork();
    (void)team_.release();
  }
  auto reopened = reopen();
  if (reopened && had_thread) reopened = start_thread_if_needed();
  if (reopened && had_team) start_team();
  if (reopened) return;
  // Nobody would answer: protection that cannot be had is better than protection that blocks.
  space_.own(Userfaultfd());
  for (const auto& entry : space_.table)
    if (entry.value.source != nullptr)
      os::last_words(
          "no userfaultfd could be opened in a forked child whose pages are still to be "
          "filled lazily; they would read as zeros, so the child stops. Fill them "
          "before the fork, or give the child the right to open one",
          entry.range.begin);
}

}  // namespace weir::faults
