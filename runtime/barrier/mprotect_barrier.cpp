#include "runtime/barrier/mprotect_barrier.hpp"

#include <algorithm>
#include <csignal>

#include "runtime/observe/fault_trace.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {
namespace {

// Each step that it takes to run out of mappings makes the unprotected neighbourhood this wider.
constexpr std::size_t kWiden = 16;

Error share_used_up() {
  return fail(ErrorCode::out_of_memory, "unprotecting one page at a time",
              "this barrier may have half of vm.max_map_count in use: more is unprotected, and "
              "counts as written",
              {}, "Raise vm.max_map_count, or use a barrier on userfaultfd, which adds no mappings")
      .value();
}

}  // namespace

Expected<std::unique_ptr<Barrier>> MprotectBarrier::open() {
  BarrierTraits traits;
  traits.granularity = os::page_size();
  traits.needs_signal = true;
  traits.adds_mappings = true;
  traits.owns_protection = true;
  // Half of them: the rest of the process needs mappings, too.
  return std::unique_ptr<Barrier>(new MprotectBarrier(traits, os::max_map_count() / 2));
}

MprotectBarrier::MprotectBarrier(const BarrierTraits& traits, std::size_t mappings_allowed)
    : TrappingBarrier(BarrierKind::mprotect, traits), mappings_allowed_(mappings_allowed) {}

MprotectBarrier::~MprotectBarrier() {
  detach_all();
}

Expected<> MprotectBarrier::begin(TrackedRange& tracked) {
  if (!os::is_mapped(tracked.range))
    return fail(ErrorCode::not_registered, "attaching memory to a barrier",
                "a part of it is not mapped", tracked.range);
  auto accessible = UnitBits::create(tracked.units().count);
  if (!accessible) return Unexpected(accessible.error());
  tracked.accessible = std::move(*accessible);
  return os::claim_signal(SIGSEGV, tracked.range, *this);
}

void MprotectBarrier::end(TrackedRange& tracked) {
  tracked.accessible.for_runs(tracked.ever_armed(), true, [&](UnitSpan run) {
    count_system_call();
    (void)os::set_access(tracked.range_of(run), os::Access::read_write);
  });
  os::disclaim_signal(SIGSEGV, tracked.range);
}

Expected<> MprotectBarrier::protect(TrackedRange& tracked, UnitSpan span) {
  tracked.accessible.set(span);
  count_system_call();
  auto done = os::set_access(tracked.range_of(span), os::Access::read_only);
  if (done) mappings_added_.fetch_sub(2 * static_cast<std::ptrdiff_t>(span.count));
  return done;
}

// How many pages one trap unprotects, by how much of our share of the mappings is used up.
std::size_t MprotectBarrier::first_width() const {
  const auto used = static_cast<std::size_t>(std::max<std::ptrdiff_t>(mappings_added_.load(), 0));
  if (used < mappings_allowed_) return 1;
  return used < mappings_allowed_ + mappings_allowed_ / 2 ? kWiden : kWiden * kWiden;
}

Expected<> MprotectBarrier::unprotect(TrackedRange& tracked, UnitSpan span) noexcept {
  Expected<> done;
  const std::size_t first = first_width();
  if (first > 1) note(share_used_up());
  for (std::size_t width = first; width < tracked.units().count; width *= kWiden) {
    done = unprotect_around(tracked, span, width);
    if (done || done.error().code != ErrorCode::out_of_memory) return done;
    note(done.error());
  }
  // All of it is whole mappings: nothing has to be split.
  return unprotect_around(tracked, span, tracked.units().count);
}

// The aligned neighbourhood of `units` units, as far as it is no mere reservation. Recorded before
// it is unprotected, like the page.
Expected<> MprotectBarrier::unprotect_around(TrackedRange& tracked, UnitSpan span,
                                             std::size_t units) noexcept {
  const std::size_t first = span.first / units * units;
  const std::size_t past = (span.end() + units - 1) / units * units;
  const UnitSpan wide =
      tracked.accessible.run_around(span, {first, std::min(past, tracked.units().count) - first});
  if (wide.count > span.count) {
    tracked.dirty.set(wide);
    count_widened();
    count_extra(wide.count - span.count);
  }
  count_system_call();
  auto done = os::set_access(tracked.range_of(wide), os::Access::read_write);
  if (done) {
    const std::ptrdiff_t added = mappings_added_.fetch_add(2) + 2;
    if (added < 0) mappings_added_.fetch_sub(added);
  }
  return done;
}

os::SignalVerdict MprotectBarrier::on_signal(const os::SignalFault& fault) noexcept {
  const Address page = fault.address.align_down(os::page_size());
  TrackedRange* tracked = find(page);
  if (tracked == nullptr || !fault.may_be_write ||
      !tracked->accessible.test(tracked->unit_of(page)))
    return os::SignalVerdict::not_ours;
  observe::tell(observe::FaultStep::armed_write, {page, os::page_size()}, true);
  return record_and_unprotect(*tracked, page) == faults::Answer::resolved
             ? os::SignalVerdict::retry
             : os::SignalVerdict::not_ours;
}

}  // namespace weir::barrier
