// Which missing pages arrive armed: what the barriers on userfaultfd answer to a page source.
#pragma once

#include <mutex>
#include <shared_mutex>

#include "runtime/barrier/tracked_range.hpp"
#include "runtime/faults/write_fault_handler.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {

// Units that are not there yet: on_fill() finds the bits, and has their pages arrive protected.
inline Expected<> arm_when_filled(TrackedRange& tracked, UnitSpan span) {
  const std::lock_guard guard(tracked.lock);
  tracked.armed.set(span);
  return {};
}

// Fills runs of pages that are armed alike, with arm and take held off. `arrives_armed(page)` is
// asked for armed pages only; unarmed ones arrive writable.
template <class ArrivesArmed>
UffdOutcome fill_by_runs(TrackedRange& tracked, Range pages, faults::WriteFaultHandler::Fill fill,
                         ArrivesArmed&& arrives_armed) {
  const std::shared_lock guard(tracked.lock);
  const auto mode_of = [&](Address page) {
    return tracked.armed.test(tracked.unit_of(page)) && arrives_armed(page)
               ? CopyMode::write_protected
               : CopyMode::plain;
  };
  for (Address run = pages.begin; run < pages.end();) {
    const CopyMode mode = mode_of(run);
    Address past = run + os::page_size();
    while (past < pages.end() && mode_of(past) == mode) past = past + os::page_size();
    const UffdOutcome outcome = fill(Range::between(run, past), mode);
    if (outcome != UffdOutcome::done) return outcome;
    run = past;
  }
  return UffdOutcome::done;
}

}  // namespace weir::barrier
