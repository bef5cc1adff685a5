#include "runtime/barrier/async_barrier.hpp"

#include <mutex>

#include "runtime/barrier/fault_injection.hpp"
#include "runtime/barrier/fill_modes.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {

Expected<std::unique_ptr<Barrier>> AsyncBarrier::open(Delivery delivery) {
  faults::FaultServer::Options options;
  options.delivery = delivery;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_async,
                      UffdFeature::wp_unpopulated};
  auto server = faults::FaultServer::start(options);
  if (!server) return Unexpected(server.error());
  auto pagemap = os::Pagemap::open();
  if (!pagemap) return Unexpected(pagemap.error());

  BarrierTraits traits;
  traits.granularity = os::page_size();
  return std::unique_ptr<Barrier>(
      new AsyncBarrier(traits, std::move(*server), std::move(*pagemap)));
}

AsyncBarrier::AsyncBarrier(const BarrierTraits& traits, std::unique_ptr<faults::FaultServer> server,
                           os::Pagemap pagemap)
    : Barrier(BarrierKind::async, traits),
      server_(std::move(server)),
      pagemap_(std::move(pagemap)),
      regions_{} {}

AsyncBarrier::~AsyncBarrier() {
  detach_all();
}

Expected<> AsyncBarrier::begin(TrackedRange& tracked) {
  count_system_call();
  return server_->watch_writes(tracked.range, *this);
}

void AsyncBarrier::end(TrackedRange& tracked) {
  count_system_call();
  (void)server_->release(tracked.range);
}

Expected<> AsyncBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  const std::lock_guard guard(tracked.lock);  // a page on its way in must arrive as it is marked
  tracked.armed.set(span);
  count_system_call();
  const Range range = tracked.range_of(span);
  const UffdResult result = server_->protect(range);
  if (result.ok()) return {};
  tracked.armed.clear(span);
  return Unexpected(error_of(result, "write-protecting memory", range));
}

Expected<> AsyncBarrier::arm_arriving_units(TrackedRange& tracked, UnitSpan span) {
  return arm_when_filled(tracked, span);
}

Expected<> AsyncBarrier::disarm_units(TrackedRange& tracked, UnitSpan span) {
  count_system_call();
  const Range range = tracked.range_of(span);
  const UffdResult result = server_->unprotect(range, WakeMode::dont_wake);
  if (result.ok()) return {};
  return Unexpected(error_of(result, "removing write protection", range));
}

Expected<> AsyncBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  const bool in_one_walk = then == Then::rearm && tracked.armed.all(span);
  os::ScanQuery query;
  query.all_of = os::PageCategory::written;
  query.report = os::PageCategory::written;
  query.rearm = in_one_walk;
  // A hole that waits for its page source counts as written to the kernel, and would be armed.
  if (server_->serves_missing(tracked.range))
    query.any_of = {os::PageCategory::present, os::PageCategory::swapped};

  count_system_call();
  auto done =
      pagemap_.scan(tracked.range_of(span), query, regions_, [&](Range run, os::PageCategories) {
        UnitBits::for_words(tracked.units_in(run), [&](std::size_t index, std::uint64_t mask) {
          tracked.taken.set_in(index, mask & tracked.armed.load(index));
        });
      });
  if (!done) {  // pages may have been armed again without a report
    count_extra(take_all_armed(tracked, span, Then::rearm));
    return done;
  }
  if (in_one_walk) return done;
  if (then == Then::rearm) return rearm_taken(tracked, span);
  UnitBits::for_words(span, [&](std::size_t index, std::uint64_t mask) {
    tracked.armed.clear_in(index, mask & tracked.taken.load(index));
  });
  return {};
}

// What is written after the walk stays "written" when its page was clean then, and is read by the
// taker after this when its page was dirty: nothing is lost between the two steps.
Expected<> AsyncBarrier::rearm_taken(TrackedRange& tracked, UnitSpan span) {
  FaultInjection::at(FaultInjection::before_rearm);
  Expected<> done;
  tracked.taken.for_runs(span, true, [&](UnitSpan run) {
    count_system_call();
    const Range range = tracked.range_of(run);
    const UffdResult result = server_->protect(range);
    if (!result.ok() && done)
      done = Unexpected(error_of(result, "write-protecting memory again", range));
  });
  return done;
}

Expected<> AsyncBarrier::recover() {
  pagemap_ = os::Pagemap();  // first: a new one may get the number of one that somebody closed
  auto pagemap = os::Pagemap::open();
  if (!pagemap) return Unexpected(pagemap.error());
  pagemap_ = std::move(*pagemap);
  return server_->recover();
}

faults::Answer AsyncBarrier::on_write_fault(Address) noexcept {
  return faults::Answer::unknown;  // the kernel resolves them; nobody is told
}

UffdOutcome AsyncBarrier::on_fill(Range pages, const faults::FillCause&, Fill fill) noexcept {
  TrackedRange* tracked = find(pages.begin);
  if (tracked == nullptr) return fill(pages, CopyMode::plain);
  // Armed also where it is about to be written: that write records itself, for one more fault.
  return fill_by_runs(*tracked, pages, fill, [](Address) { return true; });
}

void AsyncBarrier::on_protection_lost(Range range) noexcept {
  // Everything is unprotected, and so counts as written by itself. A forked child also needs a
  // pagemap of its own; where /proc is gone, each take says so and reports everything.
  if (pagemap_.fd() < 0)
    if (auto pagemap = os::Pagemap::open(); pagemap) pagemap_ = std::move(*pagemap);
  if (TrackedRange* tracked = find(range.begin); tracked != nullptr)
    count_extra(tracked->armed.count(tracked->ever_armed()));
}

}  // namespace weir::barrier
