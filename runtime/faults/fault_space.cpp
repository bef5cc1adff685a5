#include "runtime/faults/fault_space.hpp"

#include "runtime/os/last_words.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::faults {

Answer FaultSpace::answer(const Fault& fault) noexcept {
  const Address page = fault.address.align_down(os::page_size());
  const Table::Entry* entry = table.find(page);
  if (entry == nullptr) return Answer::unknown;
  if (fault.write_protected)
    return entry->value.writes != nullptr ? entry->value.writes->on_write_fault(page)
                                          : Answer::unknown;
  return entry->value.source != nullptr ? fill(*entry, {page, fault.write, false})
                                        : Answer::unknown;
}

Answer FaultSpace::answer_untold(Address address, bool may_be_write) noexcept {
  const Address page = address.align_down(os::page_size());
  const Table::Entry* entry = table.find(page);
  if (entry == nullptr) return Answer::unknown;
  const Answerers& who = entry->value;
  const bool missing = who.source != nullptr && !who.source->is_filled(who.offset_of(page));
  if (missing) return fill(*entry, {page, may_be_write, false});
  // Another thread brought the page in meanwhile, and this one only wants to read it.
  if (who.writes == nullptr || !may_be_write)
    return who.source != nullptr ? Answer::resolved : Answer::unknown;
  return who.writes->on_write_fault(page);
}

Answer FaultSpace::fill(const Table::Entry& entry, const Fault& fault) noexcept {
  const Answerers& who = entry.value;
  PageFiller filler(descriptor, entry.range, who.source_origin, who.writes,
                    FillCause{fault.address, fault.write});
  constexpr int kPatience = 3;  // a memory cgroup at its limit may have room a moment later
  for (int tries = 0; tries < kPatience; ++tries) {
    switch (who.source->fill(who.offset_of(fault.address), filler)) {
      case UffdOutcome::again: return Answer::retry_later;
      case UffdOutcome::no_memory: continue;
      case UffdOutcome::no_such_process: process_is_gone = true; return Answer::resolved;
      case UffdOutcome::done:
      case UffdOutcome::not_found:  // unmapped meanwhile: nobody waits any more
      case UffdOutcome::closed: return Answer::resolved;
      default: tries = kPatience; break;
    }
  }
  // Never wrong bytes: the toucher gets SIGBUS, or everybody stops.
  const UffdOutcome poisoned = filler.poison(who.offset_of(fault.address), os::page_size());
  if (poisoned != UffdOutcome::done)
    os::last_words("a missing page could not be filled (no memory, or a damaged source), and this "
                   "kernel cannot poison it; stopping rather than showing wrong bytes. Give the "
                   "process more memory; Linux 6.6 or later fails only the thread that touches it",
                   fault.address);
  return Answer::resolved;
}

void FaultSpace::on_remap(const RemapEvent& event) {
  const Range from{event.from, event.size};
  const Table::Entry* entry = table.find(event.from);
  if (entry == nullptr) return;
  Answerers moved = entry->value;
  moved.source_origin = event.to - moved.offset_of(event.from);
  Table next = table.without(from).with(Range{event.to, event.size}, moved);
  table.swap(next);
}

void FaultSpace::on_remove(const RemoveEvent& event) {
  for (const Table::Entry& entry : table) {
    const Range gone = entry.range.intersection(event.range);
    if (gone.empty()) continue;
    if (entry.value.source != nullptr)
      entry.value.source->removed(entry.value.offset_of(gone.begin), gone.size);
    if (entry.value.writes != nullptr) entry.value.writes->on_removed(gone);
  }
}

void FaultSpace::on_unmap(const UnmapEvent& event) {
  Table next = table.without(event.range);
  table.swap(next);
}

}  // namespace weir::faults
