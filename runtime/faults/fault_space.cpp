#include "runtime/faults/fault_space.hpp"

#include <utility>

#include "runtime/observe/fault_trace.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::faults {

Answer FaultSpace::answer(const Fault& fault) noexcept {
  const Address page = fault.address.align_down(os::page_size());
  const Table::Entry* entry = table.find(page);
  if (entry == nullptr) return Answer::unknown;
  if (fault.write_protected) return let_write(*entry, page);
  return entry->value.source != nullptr ? fill(*entry, {page, fault.write, false}, Delivery::thread)
                                        : Answer::unknown;
}

bool FaultSpace::is_slow(const Fault& fault) noexcept {
  const Table::Entry* entry = table.find(fault.address);
  return entry != nullptr && !fault.write_protected && entry->value.source != nullptr &&
         entry->value.source->is_slow();
}

Answer FaultSpace::answer_untold(Address address, bool may_be_write) noexcept {
  const Address page = address.align_down(os::page_size());
  const Table::Entry* entry = table.find(page);
  if (entry == nullptr) return Answer::unknown;
  const Answerers& who = entry->value;
  const bool missing = who.source != nullptr && !who.source->is_filled(who.offset_of(page));
  if (missing) return fill(*entry, {page, may_be_write, false}, Delivery::sigbus);
  if (who.source != nullptr)
    if (const auto answer = fill_removed(*entry, page)) return *answer;
  // Another thread brought the page in meanwhile, and this one only wants to read it.
  if (who.writes == nullptr || !may_be_write)
    return who.source != nullptr ? Answer::resolved : Answer::unknown;
  return let_write(*entry, page);
}

// Nobody tells of MADV_DONTNEED here either: a page that was filled and is missing was given back.
// It arrives unarmed, and so counts as written. Copied, since an armed hole is there for ZEROPAGE.
// Nothing: it is there.
std::optional<Answer> FaultSpace::fill_removed(const Table::Entry& entry, Address page) noexcept {
  const auto zeros = page_of_zeros();
  switch (descriptor_.copy(page, zeros.data(), zeros.size(), CopyMode::plain).outcome) {
    case UffdOutcome::done:
      tell_removed(entry, {page, os::page_size()});
      return Answer::resolved;
    case UffdOutcome::again:
      return Answer::retry_later;
    case UffdOutcome::no_memory:
      return Answer::unknown;
    default:
      return std::nullopt;
  }
}

Answer FaultSpace::let_write(const Table::Entry& entry, Address page) noexcept {
  if (entry.value.writes == nullptr) return Answer::unknown;
  observe::tell(observe::FaultStep::armed_write, {page, os::page_size()}, true);
  return entry.value.writes->on_write_fault(page);
}

Answer FaultSpace::answer_stray(const Fault& fault, int tries) noexcept {
  constexpr int kPatience = 1000;
  if (tries < kPatience) return Answer::retry_later;
  PageFiller filler(descriptor_, Range{fault.address, os::page_size()}, fault.address, nullptr,
                    FillCause{fault.address, fault.write});
  const UffdOutcome poisoned = filler.poison(0, os::page_size());
  if (poisoned == UffdOutcome::again) return Answer::retry_later;
  if (poisoned == UffdOutcome::no_such_process) process_is_gone = true;
  return Answer::resolved;
}

Answer FaultSpace::fill(const Table::Entry& entry, const Fault& fault, Delivery by) noexcept {
  const Answerers& who = entry.value;
  observe::tell(observe::FaultStep::missing, {fault.address, os::page_size()}, fault.write);
  PageFiller filler(descriptor_, entry.range, who.source_origin, who.writes,
                    FillCause{fault.address, fault.write});
  // In the faulting thread the page that cannot be had is nobody's, and so its SIGBUS the host's:
  // also where the kernel reports poison as it reports missing pages (no CONFIG_MEMORY_FAILURE).
  const Answer lost = by == Delivery::sigbus ? Answer::unknown : Answer::resolved;
  constexpr int kPatience = 3;  // a memory cgroup at its limit may have room a moment later
  bool has_memory = true;
  for (int tries = 0; tries < kPatience; ++tries) {
    switch (who.source->fill(who.offset_of(fault.address), filler)) {
      case UffdOutcome::again:
        return Answer::retry_later;
      case UffdOutcome::no_memory:
        has_memory = false;
        continue;
      case UffdOutcome::no_such_process:
        process_is_gone = true;
        return Answer::resolved;
      case UffdOutcome::done:
        return filler.has_poisoned() ? lost : Answer::resolved;
      case UffdOutcome::not_found:  // unmapped meanwhile: nobody waits any more
        return Answer::resolved;
      case UffdOutcome::closed:
        if (!is_remote) stop_if_lazy();
        return Answer::resolved;
      default:
        tries = kPatience;
        break;
    }
  }
  if (!is_remote && !is_intact()) stop_if_lazy();  // another file has the number by now
  if (!has_memory)
    os::say(
        "there is no memory for a missing page (a memory cgroup at its limit, perhaps); who "
        "touches "
        "it gets SIGBUS",
        fault.address);
  // Never wrong bytes: the toucher gets SIGBUS, or everybody stops.
  switch (filler.poison(who.offset_of(fault.address), os::page_size())) {
    case UffdOutcome::again:
      return Answer::retry_later;
    case UffdOutcome::no_such_process:
      process_is_gone = true;
      return Answer::resolved;
    case UffdOutcome::done:
    case UffdOutcome::not_found:
      return lost;
    case UffdOutcome::failed:
      if (is_remote) break;
      os::last_words(
          "the system refuses to fill a missing page (a seccomp filter, perhaps), so the process "
          "stops rather than showing wrong bytes. Allow ioctl, or fill all pages before",
          fault.address);
    default:
      break;
  }
  if (by == Delivery::thread)
    os::last_words(
        "a missing page could not be filled (no memory, or a damaged source), and this "
        "kernel cannot poison it; stopping rather than showing wrong bytes. Give the "
        "process more memory; Linux 6.6 or later fails only the thread that touches it",
        fault.address);
  return lost;
}

FaultSpace::Table FaultSpace::moved(const RemapEvent& event) const {
  const Range from{event.from, event.size};
  Table next = table.without(from);
  for (const Table::Entry& entry : table) {
    const Range part = entry.range.intersection(from);
    if (part.empty()) continue;
    Answerers who = entry.value;
    who.source_origin = event.to + (part.begin - event.from) - who.offset_of(part.begin);
    next = next.with(Range{event.to + (part.begin - event.from), part.size}, who);
  }
  return next;
}

FaultSpace::Table FaultSpace::unmapped(const UnmapEvent& event) const {
  return table.without(event.range);
}

void FaultSpace::on_remove(const RemoveEvent& event) {
  for (const Table::Entry& entry : table) {
    const Range gone = entry.range.intersection(event.range);
    if (!gone.empty()) tell_removed(entry, gone);
  }
}

void FaultSpace::tell_removed(const Table::Entry& entry, Range gone) noexcept {
  if (entry.value.source != nullptr)
    entry.value.source->removed(entry.value.offset_of(gone.begin), gone.size);
  if (entry.value.writes != nullptr) entry.value.writes->on_removed(gone);
}

void FaultSpace::on_unmap(const UnmapEvent& event) {
  for (const Table::Entry& entry : table) {
    const Range gone = entry.range.intersection(event.range);
    if (!gone.empty() && entry.value.source != nullptr)
      entry.value.source->unmapped(entry.value.offset_of(gone.begin), gone.size);
  }
}

FaultSpace::Pushed FaultSpace::push() noexcept {
  PushStep otherwise = PushStep::nothing_left;
  for (const Table::Entry& entry : table) {
    const Answerers& who = entry.value;
    if (who.source == nullptr) continue;
    PageFiller filler(descriptor_, entry.range, who.source_origin, who.writes,
                      FillCause{Address(), false});
    const UffdOutcome outcome =
        who.source->push(who.offset_of(entry.range.begin), entry.range.size, filler);
    if (outcome == UffdOutcome::no_such_process) {
      process_is_gone = true;
      return {PushStep::nothing_left};
    }
    if (filler.count().all() != 0) return {PushStep::some, filler.count().put * os::page_size()};
    // Anything else that goes wrong is left to the page's own fault.
    if (outcome == UffdOutcome::again || outcome == UffdOutcome::no_memory)
      otherwise = PushStep::retry_later;
  }
  return {otherwise};
}

void FaultSpace::own(Userfaultfd&& opened) {
  descriptor_ = std::move(opened);
  identity_ = is_userfaultfd() ? os::FileIdentity::of(descriptor_.fd()) : os::FileIdentity();
  identity_may_be_shared_ = identity_.may_be_shared();
}

bool FaultSpace::is_userfaultfd() const {
  // Any page will do: WAKE looks at nothing but its own queue.
  const Range anything{Address(this).align_down(os::page_size()), os::page_size()};
  return descriptor_.is_open() && descriptor_.wake(anything).outcome != UffdOutcome::closed;
}

// Asked for each batch of messages. An identity of its own can only be that of the userfaultfd that
// own() saw; a shared one may be any anonymous file's. No operation on memory would tell two
// userfaultfds of one process apart.
bool FaultSpace::is_intact() const {
  return identity_ == os::FileIdentity::of(descriptor_.fd()) &&
         (!identity_may_be_shared_ || is_userfaultfd());
}

bool FaultSpace::is_process_gone() const {
  // Where nobody maps anything, and still a legal address.
  const Range nowhere{Address(std::uintptr_t{64} << 10), os::page_size()};
  return descriptor_.remove_write_protection(nowhere, WakeMode::dont_wake).outcome ==
         UffdOutcome::no_such_process;
}

void FaultSpace::stop_if_lazy() const {
  for (const Table::Entry& entry : table) {
    if (entry.value.source != nullptr)
      os::last_words(
          "the userfaultfd was closed behind Weir's back while pages were still to be "
          "filled lazily; they would read as zeros, so the process stops. Keep "
          "descriptors that you did not open",
          entry.range.begin);
  }
}

}  // namespace weir::faults
