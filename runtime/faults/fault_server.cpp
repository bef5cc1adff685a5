#include "runtime/faults/fault_server.hpp"

#include "runtime/os/last_words.hpp"
#include "runtime/os/page_size.hpp"

#include <csignal>
#include <utility>

namespace weir::faults {
namespace {

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
  if (canary_.size() == 0) {
    auto canary = os::Mapping::anonymous(os::page_size());
    if (!canary) return tl::unexpected(canary.error());
    *canary->as<char>() = 1;  // present, so that registering it needs no feature
    canary_ = std::move(*canary);
  }
  auto registered = descriptor->register_with_mode(canary_.range(), RegisterMode::write_protect);
  if (!registered)  // no write protection in this kernel: the missing mode serves as well
    registered = descriptor->register_with_mode(canary_.range(), RegisterMode::missing);
  if (!registered) return tl::unexpected(registered.error());
  space_.descriptor = std::move(*descriptor);
  return {};
}

FaultServer::~FaultServer() {
  while (!space_.table.empty()) (void)release(space_.table.begin()->range);
  os::FaultGate::delist(*this);
  thread_.reset();
}

Expected<> FaultServer::start_thread_if_needed() {
  if (thread_ != nullptr || options_.delivery != Delivery::thread) return {};
  auto thread = HandlerThread::start(space_);
  if (!thread) return tl::unexpected(thread.error());
  thread_ = std::move(*thread);
  return {};
}

Expected<> FaultServer::add(Range range, const Answerers& more) {
  constexpr const char* kWhat = "registering memory with the fault server";
  if (auto aligned = check_whole_pages(range, kWhat); !aligned) return aligned;
  os::FaultGate::Changing change;
  const bool resolved_in_kernel =
      more.source == nullptr && features().has(UffdFeature::wp_async);
  if (!resolved_in_kernel)
    if (auto started = start_thread_if_needed(); !started) return started;

  Answerers who = more;
  FaultSpace::Table next;
  if (auto* known = space_.table.find_exactly(range); known != nullptr) {
    const bool twice = (more.source != nullptr && known->value.source != nullptr) ||
                       (more.writes != nullptr && known->value.writes != nullptr);
    if (twice) return fail(ErrorCode::busy, kWhat, "it is registered already", range);
    if (known->value.source != nullptr) {
      who.source = known->value.source;
      who.source_origin = known->value.source_origin;
    }
    if (known->value.writes != nullptr) who.writes = known->value.writes;
    next = space_.table.without(range).with(range, who);
  } else if (space_.table.overlaps(range)) {
    return fail(ErrorCode::busy, kWhat, "it overlaps a range that is registered already", range);
  } else {
    next = space_.table.with(range, who);
  }
  // The table first: a fault may come as soon as the range is registered.
  change.commit();
  space_.table.swap(next);
  auto registered = space_.descriptor.register_with_mode(range, who.modes());
  if (!registered) space_.table.swap(next);
  change.end_commit();
  if (!registered) return tl::unexpected(registered.error());
  return {};
}

Expected<> FaultServer::watch_writes(Range range, WriteFaultHandler& handler) {
  const bool needs_signal = options_.delivery == Delivery::sigbus &&
                            !features().has(UffdFeature::wp_async);
  if (needs_signal)
    if (auto claimed = os::claim_signal(SIGBUS, range, *this); !claimed) return claimed;
  Answerers more;
  more.writes = &handler;
  auto added = add(range, more);
  if (!added && needs_signal) os::disclaim_signal(SIGBUS, range);
  return added;
}

Expected<> FaultServer::serve_missing(Range range, PageSource& source) {
  bool claimed_here = false;
  if (options_.delivery == Delivery::sigbus) {
    auto claimed = os::claim_signal(SIGBUS, range, *this);
    claimed_here = claimed.has_value();
    // Watched already, so claimed already; any other overlap is refused by add().
    if (!claimed && claimed.error().code != ErrorCode::busy) return claimed;
  }
  Answerers more;
  more.source = &source;
  more.source_origin = range.begin;
  auto added = add(range, more);
  if (!added && claimed_here) os::disclaim_signal(SIGBUS, range);
  return added;
}

Expected<> FaultServer::release(Range range, Unfilled unfilled) {
  constexpr const char* kWhat = "releasing memory from the fault server";
  {
    os::FaultGate::Changing change;
    auto* known = space_.table.find_exactly(range);
    if (known == nullptr)
      return fail(ErrorCode::not_registered, kWhat, "it is not a range that was registered", range);
    const Answerers who = known->value;
    if (who.source != nullptr && unfilled == Unfilled::fill) {
      for (std::size_t offset = 0; offset < range.size; offset += os::page_size()) {
        PageFiller filler(space_.descriptor, range, who.source_origin, who.writes,
                          FillCause{Address(), false});
        while (who.source->fill(who.offset_of(range.begin) + offset, filler) ==
               UffdOutcome::again) {
        }
      }
    }
    FaultSpace::Table next = space_.table.without(range);
    change.commit();
    space_.table.swap(next);
    (void)space_.descriptor.remove_write_protection(range);
    (void)space_.descriptor.wake(range);  // UNREGISTER does not wake who waits for protection
    (void)space_.descriptor.unregister(range);
    change.end_commit();
  }
  if (options_.delivery == Delivery::sigbus) os::disclaim_signal(SIGBUS, range);
  return {};
}

UffdResult FaultServer::protect(Range range) const {
  return space_.descriptor.write_protect(range);
}

UffdResult FaultServer::unprotect(Range range, WakeMode wake) const {
  return space_.descriptor.remove_write_protection(range, wake);
}

bool FaultServer::serves_missing(Range range) const {
  auto* entry = const_cast<FaultSpace::Table&>(space_.table).find_around(range);
  return entry != nullptr && entry->value.source != nullptr;
}

void FaultServer::settle() const {
  if (thread_ != nullptr && features().has(UffdFeature::event_remove)) thread_->settle();
}

bool FaultServer::is_alive() const {
  // Only the descriptor that registered the page may wake there: another one gets ENOENT, another
  // kind of file ENOTTY, a closed one EBADF.
  const UffdOutcome outcome = space_.descriptor.remove_write_protection(canary_.range()).outcome;
  return outcome == UffdOutcome::done || outcome == UffdOutcome::again;
}

Expected<> FaultServer::recover() {
  os::FaultGate::Changing change;
  if (is_alive()) return {};
  change.commit();
  auto reopened = reopen();
  change.end_commit();
  return reopened;
}

// With the gate held exclusively.
Expected<> FaultServer::reopen() {
  // The number may be somebody else's file by now: it is given up, not closed.
  (void)space_.descriptor.release();
  auto opened = open();
  if (opened) opened = register_everything();
  for (const auto& entry : space_.table)
    if (entry.value.writes != nullptr) entry.value.writes->on_protection_lost(entry.range);
  if (thread_ != nullptr) thread_->local_replaced();
  return opened;
}

Expected<> FaultServer::register_everything() {
  for (const auto& entry : space_.table) {
    auto registered = space_.descriptor.register_with_mode(entry.range, entry.value.modes());
    if (!registered) return tl::unexpected(registered.error());
  }
  return {};
}

Expected<> FaultServer::adopt(Userfaultfd descriptor, std::span<const RemotePages> pages) {
  auto remote = std::make_unique<FaultSpace>();
  remote->descriptor = std::move(descriptor);
  for (const RemotePages& p : pages) {
    if (auto aligned = check_whole_pages(p.range, "serving another process"); !aligned)
      return aligned;
    if (remote->table.overlaps(p.range))
      return fail(ErrorCode::busy, "serving another process", "two of its ranges overlap", p.range);
    Answerers who;
    who.source = p.source;
    who.source_origin = p.range.begin;
    FaultSpace::Table next = remote->table.with(p.range, who);
    remote->table.swap(next);
  }
  os::FaultGate::Changing change;
  if (options_.delivery != Delivery::thread)
    return fail(ErrorCode::invalid_argument, "serving another process",
                "faults of other processes need a server with thread delivery");
  if (auto started = start_thread_if_needed(); !started) return started;
  return thread_->adopt(std::move(remote));
}

std::size_t FaultServer::remote_spaces() const {
  return thread_ != nullptr ? thread_->remote_spaces() : 0;
}

ServerCounters FaultServer::counters() const {
  ServerCounters counters;
  counters.answered = answered_by_signal_.load(std::memory_order_relaxed);
  counters.unknown = unknown_by_signal_.load(std::memory_order_relaxed);
  if (thread_ != nullptr) {
    counters.answered += thread_->answered();
    counters.deferred = thread_->deferred();
    counters.unknown += thread_->unknown();
    counters.wakeups = thread_->wakeups();
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
    thread_.release();  // its state may be half changed; the thread itself is not here
  }
  auto reopened = reopen();
  if (reopened && had_thread) reopened = start_thread_if_needed();
  if (reopened) return;
  for (const auto& entry : space_.table)
    if (entry.value.source != nullptr)
      os::last_words("no userfaultfd could be opened in a forked child whose pages are still to be "
                     "filled lazily; they would read as zeros, so the child stops. Fill them "
                     "before the fork, or give the child the right to open one",
                     entry.range.begin);
}

}  // namespace weir::faults
