#include "runtime/barrier/trapping_barrier.hpp"

#include <poll.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "runtime/barrier/fault_injection.hpp"
#include "runtime/observe/fault_trace.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::barrier {
namespace {

// How many units are taken with writers held off: their faults wait for so long at most.
constexpr std::size_t kChunk = 64 * UnitBits::kWordBits;

// Not an address space that changes, nor memory that is gone: the system call itself is refused,
// and the writer would fault or wait for ever.
bool is_refused(const Error& error) {
  return error.code == ErrorCode::no_permission || error.code == ErrorCode::unsupported ||
         error.code == ErrorCode::system;
}

}  // namespace

faults::Answer TrappingBarrier::record_and_unprotect(TrackedRange& tracked, Address page) noexcept {
  const std::shared_lock guard(tracked.lock);
  const std::size_t unit = tracked.unit_of(page);
  tracked.dirty.set(unit);
  count_trap();
  observe::tell(observe::FaultStep::recorded, tracked.range_of({unit, 1}), true);
  FaultInjection::at(FaultInjection::before_unprotect);
  observe::tell(observe::FaultStep::unprotecting, tracked.range_of({unit, 1}), true);
  const auto done = unprotect(tracked, {unit, 1});
  if (done) {
    waits_.store(0, std::memory_order_relaxed);
    return faults::Answer::resolved;
  }
  if (done.error().code == ErrorCode::closed) {
    wait_until_released(page);
    return faults::Answer::resolved;
  }
  if (done.error().code == ErrorCode::again) return faults::Answer::retry_later;
  if (is_refused(done.error()))
    os::last_words(
        "the system refuses to let a store to watched memory through (a seccomp filter, perhaps), "
        "so "
        "the process stops. Allow ioctl and mprotect, or use a barrier that needs neither then: "
        "async, cards or always-dirty",
        page);
  return faults::Answer::unknown;
}

// Somebody closed our descriptor, and protection goes with it: at once, unless another process has
// the same file open, one that was just forked and has not come to its exec, say.
void TrappingBarrier::wait_until_released(Address page) noexcept {
  constexpr unsigned kPatience = 5000;  // milliseconds
  ::poll(nullptr, 0, 1);
  if (waits_.fetch_add(1, std::memory_order_relaxed) < kPatience) return;
  os::last_words(
      "the userfaultfd was closed behind Weir's back, and another process has it open, so that a "
      "store to watched memory cannot go on; the process stops. Keep descriptors that you did not "
      "open",
      page);
}

Expected<> TrappingBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  const std::lock_guard guard(tracked.lock);
  tracked.dirty.clear(span);
  tracked.armed.set(span);
  auto done = protect(tracked, span);
  if (!done)
    tracked.armed.clear(span);  // a page that is protected all the same traps once, no more
  return done;
}

Expected<> TrappingBarrier::disarm_units(TrackedRange& tracked, UnitSpan span) {
  return unprotect(tracked, span);
}

Expected<> TrappingBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  if (auto alive = check_alive(); !alive) return alive;
  for (std::size_t first = span.first; first < span.end();) {
    const std::size_t past = std::min(span.end(), (first / kChunk + 1) * kChunk);
    if (auto done = take_chunk(tracked, {first, past - first}, then); !done) return done;
    first = past;
  }
  return {};
}

Expected<> TrappingBarrier::take_chunk(TrackedRange& tracked, UnitSpan chunk, Then then) {
  const std::lock_guard guard(tracked.lock);
  bool any = false;
  UnitBits::for_words(chunk, [&](std::size_t index, std::uint64_t mask) {
    const std::uint64_t written = tracked.dirty.clear_in(index, mask) & mask;
    const std::uint64_t counted = written & tracked.armed.load(index);
    if (counted == 0) return;
    any = true;
    tracked.taken.set_in(index, counted);
    if (then == Then::leave_unarmed) tracked.armed.clear_in(index, counted);
  });
  if (!any || then == Then::leave_unarmed) return {};

  FaultInjection::at(FaultInjection::before_rearm);
  tracked.taken.for_runs(chunk, true, [&](UnitSpan run) {
    const auto done = protect(tracked, run);
    if (done) return;
    // Still writable, so it counts as written again, in each cycle until it can be armed. Trying
    // until it works would never end where the address space changes all the time (EAGAIN).
    tracked.dirty.set(run);
    count_extra(run.count);
    if (done.error().code != ErrorCode::again) note(done.error());
  });
  return {};
}

}  // namespace weir::barrier
