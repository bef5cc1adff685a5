#include "runtime/barrier/barrier.hpp"

#include <sched.h>

#include <string_view>

#include "runtime/barrier/fault_injection.hpp"
#include "runtime/os/fault_gate.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {

Barrier::Barrier(BarrierKind kind, const BarrierTraits& traits) : traits_(traits), kind_(kind) {}

Expected<> Barrier::attach(Range range) {
  constexpr const char* kWhat = "attaching memory to a barrier";
  if (range.empty() || !range.is_aligned(os::page_size()))
    return fail(ErrorCode::misaligned, kWhat, "start and size must be multiples of the page size",
                range);
  auto tracked =
      TrackedRange::create(range, static_cast<unsigned>(std::countr_zero(traits_.granularity)));
  if (!tracked) return tl::unexpected(tracked.error());
  {
    os::FaultGate::Changing change;
    if (ranges_.overlaps(range))
      return fail(ErrorCode::busy, kWhat, "it overlaps a range that is attached already", range);
    change.publish(ranges_, ranges_.with(range, tracked->get()));
  }
  auto begun = begin(**tracked);
  if (!begun) {
    forget(range);
    return begun;
  }
  (void)tracked->release();  // owned by ranges_ from here on
  return {};
}

Expected<> Barrier::detach(Range range) {
  std::unique_ptr<TrackedRange> tracked;
  {
    const os::FaultGate::Operating gate;
    auto* entry = ranges_.find_exactly(range);
    if (entry == nullptr)
      return fail(ErrorCode::not_registered, "detaching memory from a barrier",
                  "it is not a range that was attached", range);
    tracked.reset(entry->value);
  }
  end(*tracked);
  forget(range);
  armed_.fetch_sub(tracked->armed.count(tracked->ever_armed()), std::memory_order_relaxed);
  return {};
}

void Barrier::forget(Range range) {
  os::FaultGate::Changing change;
  change.publish(ranges_, ranges_.without(range));
}

void Barrier::detach_all() {
  while (!ranges_.empty()) (void)detach(ranges_.begin()->range);
}

Expected<TrackedRange*> Barrier::find_for(Range part, const char* what) {
  if (part.empty() || !part.is_aligned(traits_.granularity))
    return fail(ErrorCode::misaligned, what, "start and size must be multiples of the granularity",
                part);
  auto* entry = ranges_.find_around(part);
  if (entry == nullptr)
    return fail(ErrorCode::not_registered, what, "it does not lie in one attached range", part);
  return entry->value;
}

// Runs a hook until it is through: once more after EAGAIN (with everything let go, so that the
// fault server can read the event that the kernel waits for), and once more after a recovery.
template <class Operation>
Barrier::Operated Barrier::operate(Range part, const char* what, Operation&& operation) {
  constexpr int kPatience = 1000;  // with an address space that changes all the time
  Operated operated;
  int tries = 0;
  bool recovered = false;
  for (;;) {
    {
      const os::FaultGate::Operating gate;
      auto tracked = find_for(part, what);
      if (!tracked) return {nullptr, Unexpected(tracked.error())};
      operated.tracked = *tracked;
      operated.result = operation(**tracked);
    }
    if (operated.result) return operated;
    if (operated.result.error().code == ErrorCode::again && ++tries < kPatience) {
      ::sched_yield();
      continue;
    }
    note(operated.result.error());
    if (recovered) return operated;
    recovered = true;
    if (auto again = recover(); !again) {
      note(again.error());
      return operated;
    }
    recoveries_.fetch_add(1, std::memory_order_relaxed);
  }
}

Expected<> Barrier::arm(Range part) {
  const auto [tracked, armed] = operate(part, "arming memory", [&](TrackedRange& t) {
    Expected<> done;
    t.about_to_arm(t.units_in(part));
    // What is armed already keeps its record.
    t.armed.for_runs(t.units_in(part), false, [&](UnitSpan run) {
      if (!done) return;
      done = arm_units(t, run);
      if (done) armed_.fetch_add(run.count, std::memory_order_relaxed);
    });
    return done;
  });
  if (tracked == nullptr) return armed;
  if (!armed) {  // from now on it counts as written in every cycle
    const UnitSpan span = tracked->units_in(part);
    armed_.fetch_add(span.count - tracked->armed.count(span), std::memory_order_relaxed);
    tracked->armed.set(span);
    tracked->dirty.set(span);
  }
  return {};
}

Expected<> Barrier::arm_arriving(Range part) {
  const auto [tracked, armed] =
      operate(part, "arming memory that is to come", [&](TrackedRange& t) {
        const UnitSpan span = t.units_in(part);
        t.about_to_arm(span);
        auto done = arm_arriving_units(t, span);
        if (done) armed_.fetch_add(span.count, std::memory_order_relaxed);
        return done;
      });
  return armed;
}

Expected<> Barrier::disarm(Range part) {
  const auto [tracked, disarmed] = operate(part, "disarming memory", [&](TrackedRange& t) {
    UnitSpan armed;
    t.armed.for_runs(t.units_in(part), true, [&](UnitSpan run) {
      if (armed.count == 0) armed.first = run.first;
      armed.count = run.end() - armed.first;
    });
    return armed.count != 0 ? disarm_units(t, armed) : Expected<>();  // one call for all of it
  });
  if (tracked == nullptr) return disarmed;
  // Where the protection could not be taken off, a page traps once more, and nothing is recorded.
  const UnitSpan span = tracked->units_in(part);
  armed_.fetch_sub(tracked->armed.count(span), std::memory_order_relaxed);
  tracked->armed.clear(span);
  tracked->dirty.clear(span);
  return {};
}

Expected<std::size_t> Barrier::take(Range part, DirtySink sink, Then then) {
  settle();
  constexpr const char* kWhat = "taking written memory";
  const auto [tracked, taken] = operate(part, kWhat, [&](TrackedRange& t) -> Expected<> {
    if (!os::is_mapped(part))
      return fail(ErrorCode::not_registered, kWhat,
                  "a part of it was unmapped or moved away while it was watched", part,
                  "Detach memory before you unmap or mremap it");
    return take_units(t, t.units_in(part), then);
  });
  if (tracked == nullptr) return Unexpected(taken.error());
  const UnitSpan span = tracked->units_in(part);
  if (!taken) count_extra(take_all_armed(*tracked, span, then));
  const std::size_t bytes = report(*tracked, span, sink);
  if (then == Then::leave_unarmed)
    armed_.fetch_sub(bytes >> tracked->unit_shift, std::memory_order_relaxed);
  return bytes;
}

// "All dirty", never "none" [checked-scan].
std::size_t Barrier::take_all_armed(TrackedRange& tracked, UnitSpan span, Then then) {
  std::size_t added = 0;
  UnitBits::for_words(span, [&](std::size_t index, std::uint64_t mask) {
    const std::uint64_t armed = tracked.armed.load(index) & mask;
    added += static_cast<std::size_t>(std::popcount(armed & ~tracked.taken.set_in(index, armed)));
    if (then == Then::leave_unarmed) tracked.armed.clear_in(index, armed);
  });
  return added;
}

std::size_t Barrier::report(TrackedRange& tracked, UnitSpan span, DirtySink sink) {
  std::size_t units = 0;
  tracked.taken.for_runs(span, true, [&](UnitSpan run) {
    units += run.count;
    tracked.taken.clear(run);
    if (!FaultInjection::is_lost(tracked.range_of(run))) sink(tracked.range_of(run));
  });
  taken_.fetch_add(units, std::memory_order_relaxed);
  return units << tracked.unit_shift;
}

BarrierCounters Barrier::counters() const {
  BarrierCounters counters;
  counters.traps = traps_.load(std::memory_order_relaxed);
  counters.pages_taken = taken_.load(std::memory_order_relaxed);
  counters.pages_extra = extra_.load(std::memory_order_relaxed);
  counters.system_calls = system_calls_.load(std::memory_order_relaxed);
  counters.widened = widened_.load(std::memory_order_relaxed);
  counters.recoveries = recoveries_.load(std::memory_order_relaxed);
  return counters;
}

void Barrier::note(const Error& why) noexcept {
  const os::BlockedSignals signals;
  notes_lock_.lock();
  bool known = false;
  for (std::size_t i = 0; i < note_count_; ++i)
    known = known || (notes_[i].code == why.code &&
                      std::string_view(notes_[i].what) == std::string_view(why.what));
  if (!known && note_count_ < kMaxNotes) notes_[note_count_++] = why;
  notes_lock_.unlock();
}

std::vector<BarrierRefusal> Barrier::notes() const {
  std::vector<BarrierRefusal> notes;
  notes.reserve(kMaxNotes);
  const os::BlockedSignals signals;
  notes_lock_.lock_shared();
  for (std::size_t i = 0; i < note_count_; ++i) notes.push_back({kind_, notes_[i]});
  notes_lock_.unlock_shared();
  return notes;
}

}  // namespace weir::barrier
