#include "runtime/barrier/uffd_barrier.hpp"

#include "runtime/barrier/fill_modes.hpp"
#include "runtime/observe/fault_trace.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {
namespace {

Expected<> as_expected(const UffdResult& result, const char* what, Range where) {
  if (result.ok()) return {};
  return Unexpected(error_of(result, what, where));
}

// Kernels before 6.1 take one mapping a call, and ENOENT may mean that the range has two: halves
// find out where.
template <class Call>
UffdResult over_mappings(Range range, Call&& call) {
  const UffdResult whole = call(range);
  if (whole.outcome != UffdOutcome::not_found || range.size == os::page_size()) return whole;
  const Address middle = (range.begin + range.size / 2).align_down(os::page_size());
  const UffdResult low = over_mappings(Range::between(range.begin, middle), call);
  if (!low.ok()) return low;
  return over_mappings(Range::between(middle, range.end()), call);
}

}  // namespace

Expected<std::unique_ptr<Barrier>> UffdBarrier::open(Delivery delivery, bool user_mode_only) {
  faults::FaultServer::Options options;
  options.delivery = delivery;
  options.required = UffdFeature::pagefault_flag_wp;
  options.wanted = UffdFeature::wp_unpopulated;
  // MADV_DONTNEED takes the protection away; without a thread nobody could be told.
  if (delivery == Delivery::thread) options.wanted |= UffdFeature::event_remove;
  options.require_full = delivery == Delivery::thread && !user_mode_only;
  options.user_mode_only = user_mode_only;
  auto server = faults::FaultServer::start(options);
  if (!server) return Unexpected(server.error());

  BarrierTraits traits;
  traits.granularity = os::page_size();
  traits.needs_privilege = options.require_full;
  traits.needs_signal = delivery == Delivery::sigbus;
  traits.forgets_released = delivery == Delivery::sigbus;
  traits.threads = delivery == Delivery::thread ? 1 : 0;
  const BarrierKind kind =
      delivery == Delivery::thread ? BarrierKind::uffd_thread : BarrierKind::uffd_sigbus;
  return std::unique_ptr<Barrier>(new UffdBarrier(kind, traits, std::move(*server)));
}

UffdBarrier::UffdBarrier(BarrierKind kind, const BarrierTraits& traits,
                         std::unique_ptr<faults::FaultServer> server)
    : TrappingBarrier(kind, traits), server_(std::move(server)) {}

UffdBarrier::~UffdBarrier() {
  detach_all();
}

Expected<> UffdBarrier::begin(TrackedRange& tracked) {
  count_system_call();
  return server_->watch_writes(tracked.range, *this);
}

void UffdBarrier::end(TrackedRange& tracked) {
  count_system_call();
  (void)server_->release(tracked.range);
}

Expected<> UffdBarrier::arm_arriving_units(TrackedRange& tracked, UnitSpan span) {
  return arm_when_filled(tracked, span);
}

Expected<> UffdBarrier::protect(TrackedRange& tracked, UnitSpan span) {
  const Range range = tracked.range_of(span);
  // Where holes cannot be armed they must not be there, unless a source fills them armed.
  const bool holes_matter = !server_->features().has(UffdFeature::wp_unpopulated) &&
                            !server_->serves_missing(tracked.range);
  if (holes_matter)
    if (auto populated = os::populate_for_reading(range); !populated) return populated;
  count_system_call();
  return as_expected(over_mappings(range, [&](Range r) { return server_->protect(r); }),
                     "write-protecting memory", range);
}

Expected<> UffdBarrier::unprotect(TrackedRange& tracked, UnitSpan span) noexcept {
  const Range range = tracked.range_of(span);
  count_system_call();
  // With SIGBUS nobody sleeps: there is nobody to wake.
  const WakeMode wake =
      server_->delivery() == Delivery::sigbus ? WakeMode::dont_wake : WakeMode::wake;
  auto done =
      as_expected(over_mappings(range, [&](Range r) { return server_->unprotect(r, wake); }),
                  "removing write protection", range);
  // What another file says to this, under the same number, means nothing.
  if (!done)
    if (auto alive = check_alive(); !alive) return alive;
  return done;
}

Expected<> UffdBarrier::check_alive() {
  count_system_call();
  if (server_->is_alive()) return {};
  return fail(ErrorCode::closed, "using the userfaultfd", "somebody closed the descriptor", {},
              "Keep descriptors that you did not open");
}

Expected<> UffdBarrier::recover() {
  return server_->recover();
}

faults::Answer UffdBarrier::on_write_fault(Address page) noexcept {
  TrackedRange* tracked = find(page);
  return tracked != nullptr ? record_and_unprotect(*tracked, page) : faults::Answer::unknown;
}

UffdOutcome UffdBarrier::on_fill(Range pages, const faults::FillCause& cause, Fill fill) noexcept {
  TrackedRange* tracked = find(pages.begin);
  if (tracked == nullptr) return fill(pages, CopyMode::plain);
  return fill_by_runs(*tracked, pages, fill, [&](Address page) {
    // The page that is being written arrives recorded and writable: one fault instead of two.
    const bool written = cause.write && page == cause.faulting;
    if (written && tracked->dirty.set(tracked->unit_of(page))) {
      count_trap();
      observe::tell(observe::FaultStep::recorded, {page, os::page_size()}, true);
    }
    return !written && !tracked->dirty.test(tracked->unit_of(page));
  });
}

void UffdBarrier::on_removed(Range range) noexcept {
  if (TrackedRange* tracked = find(range.begin); tracked != nullptr)
    tracked->dirty.set(tracked->units_in(range));
}

void UffdBarrier::on_protection_lost(Range range) noexcept {
  TrackedRange* tracked = find(range.begin);
  if (tracked == nullptr) return;
  // What never came is no more written than before, and its holes must not be armed.
  tracked->armed.for_runs(tracked->ever_armed(), true, [&](UnitSpan run) {
    for (std::size_t unit = run.first; unit < run.end(); ++unit)
      if (!server_->is_missing(tracked->range_of({unit, 1}).begin)) tracked->dirty.set(unit);
  });
  count_extra(tracked->armed.count(tracked->ever_armed()));
}

}  // namespace weir::barrier
