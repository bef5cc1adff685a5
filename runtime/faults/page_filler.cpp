#include "runtime/faults/page_filler.hpp"

#include "runtime/os/page_size.hpp"

namespace weir::faults {
namespace {

// ZEROPAGE cannot arm what it brings and refuses armed holes, so zeros are copied too.
constexpr std::size_t kMaxPageSize = std::size_t{64} << 10;
alignas(kMaxPageSize) constexpr std::byte kZeros[kMaxPageSize] = {};

}  // namespace

// Runs one operation over `run` to its end: partial results go on, pages that exist are skipped.
UffdOutcome PageFiller::put_all(Range run, os::FunctionRef<UffdResult(Range)> put_some) {
  UffdOutcome outcome = UffdOutcome::done;
  for (Address at = run.begin; at < run.end();) {
    const UffdResult result = put_some(Range::between(at, run.end()));
    at = at + result.bytes;
    if (result.outcome == UffdOutcome::partial) continue;
    if (result.outcome == UffdOutcome::exists) {
      at = at + os::page_size();
      continue;
    }
    if (result.outcome == UffdOutcome::done) break;
    outcome = result.outcome;
    break;
  }
  return outcome;
}

template <class Put>
UffdOutcome PageFiller::put(std::size_t offset, std::size_t bytes, Put put_run) {
  const Range pages = range_.intersection(Range{origin_ + offset, bytes});
  if (pages.empty()) return UffdOutcome::done;
  const UffdOutcome outcome = writes_ != nullptr ? writes_->on_fill(pages, cause_, put_run)
                                                 : put_run(pages, CopyMode::plain);
  // Also after an error and after EEXIST: the winner of that race may have woken before this waiter
  // went to sleep. With `again` the waiter stays asleep: it is asked for once more.
  if (outcome != UffdOutcome::again) (void)descriptor_.wake(pages);
  return outcome;
}

UffdOutcome PageFiller::copy(std::size_t offset, const std::byte* from, std::size_t bytes) {
  const Address first = origin_ + offset;
  return put(offset, bytes, [&](Range run, CopyMode mode) {
    return put_all(run, [&](Range rest) {
      return descriptor_.copy(rest.begin, from + (rest.begin - first), rest.size, mode,
                              WakeMode::dont_wake);
    });
  });
}

UffdOutcome PageFiller::zero(std::size_t offset, std::size_t bytes) {
  return put(offset, bytes, [&](Range run, CopyMode mode) {
    return put_all(run, [&](Range rest) {
      const std::size_t size = rest.size < sizeof(kZeros) ? rest.size : sizeof(kZeros);
      UffdResult result =
          descriptor_.copy(rest.begin, kZeros, size, mode, WakeMode::dont_wake);
      if (result.ok() && size < rest.size) result.outcome = UffdOutcome::partial;
      return result;
    });
  });
}

UffdOutcome PageFiller::poison(std::size_t offset, std::size_t bytes) {
  const Range pages = range_.intersection(Range{origin_ + offset, bytes});
  // Not through the barrier: nothing can be written there, and an armed hole refuses poison.
  (void)descriptor_.remove_write_protection(pages, WakeMode::dont_wake);
  const UffdOutcome outcome = put_all(
      pages, [&](Range rest) { return descriptor_.poison(rest, WakeMode::dont_wake); });
  if (outcome != UffdOutcome::again) (void)descriptor_.wake(pages);
  return outcome;
}

}  // namespace weir::faults
