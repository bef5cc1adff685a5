#include "runtime/barrier/selection.hpp"

#include "runtime/barrier/always_dirty_barrier.hpp"
#include "runtime/barrier/async_barrier.hpp"
#include "runtime/barrier/card_barrier.hpp"
#include "runtime/barrier/mprotect_barrier.hpp"
#include "runtime/barrier/self_test.hpp"
#include "runtime/barrier/soft_dirty_barrier.hpp"
#include "runtime/barrier/uffd_barrier.hpp"
#include "runtime/os/environment.hpp"

namespace weir::barrier {
namespace {

constexpr const char* kWhat = "choosing a write barrier";

struct Candidate {
  BarrierKind kind;
  bool user_mode_only;
};

Expected<> check_pair(BarrierKind kind, std::optional<Delivery> delivery) {
  if (!delivery) return {};
  if (kind == BarrierKind::uffd_thread && *delivery == Delivery::sigbus)
    return fail(ErrorCode::invalid_argument, kWhat,
                "barrier uffd-thread cannot go with delivery sigbus: with the SIGBUS feature no "
                "fault is delivered to a thread",
                {}, "Use delivery thread, or barrier uffd-sigbus");
  if (kind == BarrierKind::uffd_sigbus && *delivery == Delivery::thread)
    return fail(ErrorCode::invalid_argument, kWhat,
                "barrier uffd-sigbus cannot go with delivery thread: SIGBUS is a property of the "
                "whole userfaultfd",
                {}, "Use delivery sigbus, or barrier uffd-thread");
  return {};
}

Expected<std::unique_ptr<Barrier>> open_untested(BarrierKind kind, std::optional<Delivery> delivery,
                                                 bool user_mode_only, const CardTable& cards) {
  switch (kind) {
    case BarrierKind::async:
      return AsyncBarrier::open(delivery.value_or(Delivery::thread));
    case BarrierKind::uffd_thread:
      return UffdBarrier::open(Delivery::thread, user_mode_only);
    case BarrierKind::uffd_sigbus:
      return UffdBarrier::open(Delivery::sigbus, user_mode_only);
    case BarrierKind::mprotect:
      return MprotectBarrier::open();
    case BarrierKind::soft_dirty:
      return SoftDirtyBarrier::open();
    case BarrierKind::cards:
      return std::unique_ptr<Barrier>(new CardBarrier(cards));
    case BarrierKind::always_dirty:
      return std::unique_ptr<Barrier>(new AlwaysDirtyBarrier);
  }
  return fail(ErrorCode::invalid_argument, kWhat, "no such barrier");
}

// Why the options rule a candidate out, if they do.
Expected<> allowed(const Candidate& candidate, const BarrierOptions& options) {
  if (candidate.kind == BarrierKind::soft_dirty && !options.writers_are_stopped)
    return fail(ErrorCode::unsupported, kWhat,
                "soft-dirty loses writes made while it is read; it needs all writers stopped", {},
                "Stop them during arm and take, and say so, or use another barrier");
  return check_pair(candidate.kind, options.delivery);
}

Expected<> acceptable(const Barrier& barrier, const BarrierOptions& options) {
  if (barrier.traits().sees_kernel_writes || options.accept_efault) return {};
  return fail(ErrorCode::unsupported, kWhat,
              "system calls that write into armed memory fail with EFAULT here, which the "
              "configuration does not accept");
}

Expected<BarrierOptions> with_environment(BarrierOptions options) {
  auto barrier = os::environment(os::Variable::barrier);
  if (!barrier) return Unexpected(barrier.error());
  auto delivery = os::environment(os::Variable::delivery);
  if (!delivery) return Unexpected(delivery.error());
  if (*barrier) {
    auto kind = parse_barrier(**barrier);
    if (!kind) return Unexpected(kind.error());
    options.kind = *kind;
  }
  if (*delivery) {
    auto named = parse_delivery(**delivery);
    if (!named) return Unexpected(named.error());
    options.delivery = *named;
  }
  return options;
}

}  // namespace

Expected<std::unique_ptr<Barrier>> open_barrier(BarrierKind kind, std::optional<Delivery> delivery,
                                                bool user_mode_only, const CardTable& cards) {
  if (auto pair = check_pair(kind, delivery); !pair) return Unexpected(pair.error());
  auto barrier = open_untested(kind, delivery, user_mode_only, cards);
  if (!barrier) return barrier;
  if (auto proven = self_test(**barrier); !proven) return Unexpected(proven.error());
  return barrier;
}

Expected<Selection> select_barrier(const BarrierOptions& given) {
  auto options = with_environment(given);
  if (!options) return Unexpected(options.error());
  if (options->kind) {
    if (auto fits = allowed({*options->kind, false}, *options); !fits)
      return Unexpected(fits.error());
    auto barrier = open_barrier(*options->kind, options->delivery, false, options->cards);
    // Named outright: also one that only user mode allows, and what that costs is among its traits.
    if (!barrier && *options->kind == BarrierKind::uffd_thread &&
        barrier.error().code == ErrorCode::no_permission)
      barrier = open_barrier(*options->kind, options->delivery, true);
    if (!barrier) return Unexpected(barrier.error());
    Selection selection;
    selection.barrier = std::move(*barrier);
    return selection;
  }
  return select_best_barrier(*options);
}

Expected<Selection> select_best_barrier(const BarrierOptions& options) {
  Selection selection;
  constexpr Candidate kBestFirst[] = {
      {BarrierKind::async, false},       {BarrierKind::uffd_thread, false},
      {BarrierKind::soft_dirty, false},  {BarrierKind::uffd_sigbus, false},
      {BarrierKind::uffd_thread, true},  {BarrierKind::mprotect, false},
      {BarrierKind::always_dirty, false}};
  for (const Candidate& candidate : kBestFirst) {
    auto fits = allowed(candidate, options);
    if (fits) {
      auto barrier = open_barrier(candidate.kind, options.delivery, candidate.user_mode_only);
      if (!barrier) {
        fits = Unexpected(barrier.error());
      } else if (fits = acceptable(**barrier, options); fits) {
        selection.barrier = std::move(*barrier);
        return selection;
      }
    }
    selection.refusals.push_back({candidate.kind, fits.error()});
  }
  return Unexpected(selection.refusals.back().why);
}

}  // namespace weir::barrier
