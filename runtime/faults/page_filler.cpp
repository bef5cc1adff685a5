#include "runtime/faults/page_filler.hpp"

#include "runtime/observe/fault_trace.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::faults {
namespace {

constexpr std::size_t kMaxPageSize = std::size_t{64} << 10;
alignas(kMaxPageSize) constexpr std::byte kZeros[kMaxPageSize] = {};

}  // namespace

std::span<const std::byte> page_of_zeros() {
  return {kZeros, os::page_size()};
}

// Runs one operation over `run` to its end: partial results go on, pages that exist are skipped,
// and so are pages that are not there to be filled.
UffdOutcome PageFiller::put_all(Range run, os::FunctionRef<UffdResult(Range)> put_some) {
  std::size_t step = run.size;
  for (Address at = run.begin; at < run.end();) {
    const Range rest = Range::between(at, run.end());
    const UffdResult result = put_some(Range{at, rest.size < step ? rest.size : step});
    at = at + result.bytes;
    count_.put += result.bytes / os::page_size();
    switch (result.outcome) {
      case UffdOutcome::done:
      case UffdOutcome::partial:
        continue;
      case UffdOutcome::exists:
        at = at + os::page_size();
        ++count_.found;
        continue;
      case UffdOutcome::not_found:
        // The kernel takes one mapping a call, and says this when the run lies in two (mprotect, or
        // munmap of a part): page by page it tells which are gone.
        if (step == os::page_size()) {
          at = at + os::page_size();  // nobody can wait for this one
          ++count_.skipped;
        }
        step = os::page_size();
        continue;
      default:
        return result.outcome;
    }
  }
  return UffdOutcome::done;
}

template <class Put>
UffdOutcome PageFiller::put(std::size_t offset, std::size_t bytes, Put put_run) {
  const Range pages = range_.intersection(Range{origin_ + offset, bytes});
  if (pages.empty()) return UffdOutcome::done;
  const auto put_and_tell = [&](Range run, CopyMode mode) {
    const UffdOutcome outcome = put_run(run, mode);
    if (outcome == UffdOutcome::done)
      observe::tell(
          mode == CopyMode::plain ? observe::FaultStep::filled : observe::FaultStep::filled_armed,
          run, cause_.write);
    return outcome;
  };
  const UffdOutcome outcome = writes_ != nullptr ? writes_->on_fill(pages, cause_, put_and_tell)
                                                 : put_and_tell(pages, CopyMode::plain);
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
      return descriptor_.copy(rest.begin, kZeros, size, mode, WakeMode::dont_wake);
    });
  });
}

UffdOutcome PageFiller::poison_page(Address page) {
  const Range range{page, os::page_size()};
  UffdOutcome outcome = descriptor_.poison(range, WakeMode::dont_wake).outcome;
  if (outcome != UffdOutcome::exists) return outcome;
  // Either it is there, or it is an armed hole, which refuses poison. Its protection goes the way
  // of a store: recorded first, since it may be there after all [no-lost-write].
  const Answer answer = writes_ != nullptr ? writes_->on_write_fault(page) : Answer::unknown;
  if (answer == Answer::retry_later) return UffdOutcome::again;
  if (answer == Answer::unknown) {  // under WP_ASYNC, unprotected is recorded
    outcome = descriptor_.remove_write_protection(range, WakeMode::dont_wake).outcome;
    if (outcome == UffdOutcome::again) return outcome;
  }
  outcome = descriptor_.poison(range, WakeMode::dont_wake).outcome;
  return outcome == UffdOutcome::exists ? UffdOutcome::done : outcome;
}

UffdOutcome PageFiller::poison(std::size_t offset, std::size_t bytes) {
  const Range pages = range_.intersection(Range{origin_ + offset, bytes});
  has_poisoned_ = true;
  UffdOutcome outcome = UffdOutcome::done;
  for (Address page = pages.begin; page < pages.end(); page = page + os::page_size()) {
    outcome = poison_page(page);
    if (outcome != UffdOutcome::done) break;
  }
  if (outcome != UffdOutcome::again && !pages.empty()) (void)descriptor_.wake(pages);
  return outcome;
}

UffdOutcome PageFiller::leave(std::size_t offset, std::size_t bytes) {
  const Range pages = range_.intersection(Range{origin_ + offset, bytes});
  if (!pages.empty()) (void)descriptor_.wake(pages);
  return UffdOutcome::done;
}

}  // namespace weir::faults
