#include "runtime/collector/collection.hpp"

#include <algorithm>

#include "runtime/collector/verifier.hpp"
#include "runtime/observe/clock.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

using observe::Phase;

void Collection::run() {
  observe::EventStream& events = *heap_.events_;
  result_.heap_before_bytes = heap_.space_->in_blocks();
  const std::size_t used = heap_.space_->used();
  const std::size_t old = heap_.live_;
  allocated_ = used - std::min(used, old);

  events.phase(Phase::prepare);
  result_.young_blocks = heap_.space_->young_blocks();
  prepare();
  {
    Marker marker(*heap_.space_, heap_.format_, heap_.pool_, scope_, counting_, nullptr);
    events.phase(Phase::dirty);
    scan_remembered(marker);
    scan_images(marker);
    events.phase(Phase::roots);
    const std::uint64_t cpu_before_ns = observe::thread_cpu_ns();
    heap_.scan_roots(marker, scope_);
    fixed_cpu_ns_ = observe::thread_cpu_ns() - cpu_before_ns;
    if (const auto* remembered = heap_.space_->remembered_set(); remembered != nullptr)
      fixed_cpu_ns_ += remembered->clean_walk_ns();
    events.phase(Phase::mark);
    mark(marker);
    events.phase(Phase::weak);
    follow_ephemerons(marker);
    heap_.weak_cells_.clear_dead(*heap_.space_, scope_);
    events.phase(Phase::finalizers);
    find_due_finalizers(marker);
    heap_.ephemerons_.clear_dead(*heap_.space_, scope_);
    add_reachers(marker);
    result_.scanned_bytes += marker.scanned_bytes() + scanned_bytes_;
    result_.promoted_bytes = marker.marked_bytes() + marked_bytes_;
    result_.live_bytes = result_.promoted_bytes + (scope_ == Scope::young ? old : 0);
    if (heap_.config_.verify) {
      events.phase(Phase::verify);
      verify(heap_, scope_, marker.marked_objects() + marked_objects_);
    }
  }
  events.phase(Phase::sweep);
  result_.young_blocks = heap_.space_->young_blocks();
  sweep(result_.live_bytes);
  heap_.old_memory_.tell(*heap_.space_, result_);
  result_.heap_after_bytes = heap_.space_->in_blocks();
  result_.freed_bytes = used > result_.live_bytes ? used - result_.live_bytes : 0;
  result_.marker_cpu_ns = cpu_ns_;
}

void Collection::prepare() {
  heap_.for_each_mutator([this](Mutator& mutator) {
    mutator.revoke_spans();
    heap_.allocated_ += mutator.take_allocated();
  });
  if (scope_ == Scope::young) {
    heap_.space_->begin_young_marking();
  } else {
    heap_.space_->finish_sweeping();
    heap_.space_->begin_marking();
    heap_.reachers_.clear();
  }
}

void Collection::scan_remembered(Marker& marker) {
  heap::RememberedSet* remembered = heap_.space_->remembered_set();
  if (remembered == nullptr) return;
  if (scope_ == Scope::all) return;
  CardCheck check(*heap_.space_);
  remembered->take(heap_.space_->frontier(),
                   [&](std::span<const Range> runs, std::span<std::uint8_t> found_young) {
                     if (heap_.checks_cards())
                       for (const Range run : runs) check.reported(run);
                     return scan_old(marker, runs, found_young);
                   });
  if (heap_.checks_cards()) check_cards(check);
  heap_.space_->for_each_unwatched([&](heap::BlockIndex index) {
    marker.scan_old_later(heap_.space_->region().range_of(index));
  });
  for (const Address object : heap_.reachers_) marker.rescan(object);
}

// By as many as it is worth, some runs at a time.
std::uint64_t Collection::scan_old(Marker& first, std::span<const Range> runs,
                                   std::span<std::uint8_t> found_young) {
  constexpr std::size_t kRuns = 8;
  std::size_t bytes = 0;
  for (const Range run : runs) bytes += run.size;
  std::atomic<std::size_t> next{0};
  return in_parallel(is_worth_a_team(bytes), first, [&](Marker& marker, unsigned) {
    for (std::size_t at = next.fetch_add(kRuns); at < runs.size(); at = next.fetch_add(kRuns))
      for (std::size_t i = at; i < std::min(at + kRuns, runs.size()); ++i)
        found_young[i] = marker.scan_old(runs[i]);
    marker.flush();
  });
}

void Collection::scan_images(Marker& marker) {
  if (heap_.images_.size() != 0) result_.scanned_bytes += heap_.images_.scan(marker, scope_);
}

// A thread that a signal stopped may stand between a store, which is in this cycle, and its mark.
void Collection::check_cards(CardCheck& check) {
  bool may_be_late = false;
  heap_.for_each_mutator([&](Mutator& mutator) {
    may_be_late = may_be_late || mutator.thread().stop_mode() == threads::StopMode::signal;
  });
  const Address missed = may_be_late ? Address() : check.find_missed();
  if (missed != Address())
    os::last_words("verify: a card is marked whose page the barrier did not report", missed);
  CardCheck::clear(*heap_.space_);
}

void Collection::add_reachers(const Marker& marker) {
  for (const Address object : marker.reachers())
    if (!heap_.reachers_.push_back(object))
      os::last_words("no memory for the list of objects that reach outside the heap");
}

void Collection::mark(Marker& first) {
  heap_.pool_.restart();
  first.flush();
  const bool by_all =
      scope_ == Scope::all ||
      is_worth_a_team(first.scanned_bytes() + scanned_bytes_ + heap_.last_promoted_);
  in_parallel(by_all, first, [&](Marker& marker, unsigned markers) { marker.run(markers); });
}

// Answers what all of them took, in CPU time.
std::uint64_t Collection::in_parallel(bool by_all, Marker& first,
                                      os::FunctionRef<void(Marker&, unsigned)> work) {
  const unsigned markers = by_all ? heap_.team_.size() : 1;
  result_.markers = std::max<std::uint64_t>(result_.markers, markers);
  std::uint64_t first_ns = 0;  // of the calling thread
  std::atomic<std::uint64_t> all_ns{0};
  std::atomic<std::uint64_t> longest_ns{0};
  heap_.team_.run(markers, [&](unsigned index) {
    const std::uint64_t cpu_before = observe::thread_cpu_ns();
    observe::Span span(heap_.events_->marker(index), observe::Activity::marking);
    if (index == 0) {
      work(first, markers);
    } else {
      Marker marker(*heap_.space_, heap_.format_, heap_.pool_, scope_, counting_, ephemerons_);
      work(marker, markers);
      marked_bytes_ += marker.marked_bytes();
      marked_objects_ += marker.marked_objects();
      scanned_bytes_ += marker.scanned_bytes();
      if (!marker.reachers().empty()) {
        const std::lock_guard guard(reachers_lock_);
        add_reachers(marker);
      }
      span.set_value(marker.marked_objects());
    }
    const std::uint64_t cpu = observe::thread_cpu_ns() - cpu_before;
    all_ns += cpu;
    if (index == 0)
      first_ns = cpu;
    else
      others_cpu_ns_ += cpu;
    std::uint64_t longest = longest_ns;
    while (longest < cpu && !longest_ns.compare_exchange_weak(longest, cpu)) {
    }
  });
  waited_ns_ += longest_ns - first_ns;
  cpu_ns_ += all_ns;
  return all_ns;
}

// A minor cycle is often over before the others would have woken up.
bool Collection::is_worth_a_team(std::size_t bytes_to_look_at) {
  constexpr std::size_t kWorth = std::size_t{1} << 20;
  return bytes_to_look_at >= kWorth;
}

void Collection::follow_ephemerons(Marker& marker) {
  if (heap_.ephemerons_.size(scope_) == 0) return;
  heap_.ephemerons_.index_waiting(*heap_.space_, marker, scope_);
  ephemerons_ = &heap_.ephemerons_;
  marker.set_ephemerons(ephemerons_);
  mark(marker);
}

void Collection::find_due_finalizers(Marker& marker) {
  if (heap_.finalizers_.find_dead(*heap_.space_, marker, scope_)) mark(marker);
}

void Collection::sweep(std::size_t live) {
  if (scope_ == Scope::young) {
    heap_.space_->end_young_marking(live);
  } else {
    heap_.pacing_.reconsider(allocated_, live);
    const bool watch = heap_.pacing_.wants_generations();
    // All that was written has been traced.
    if (heap::RememberedSet* remembered = heap_.space_->remembered_set(); remembered != nullptr) {
      if (watch) remembered->reset(heap_.space_->frontier());
      if (heap_.checks_cards()) CardCheck::clear(*heap_.space_);
    }
    heap_.space_->end_marking(live, watch);
  }
  heap_.for_each_mutator([](Mutator& mutator) { mutator.sweep_held(); });
}

}  // namespace weir::collector
