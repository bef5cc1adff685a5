// The hands of a page source: puts whole pages where they are missing, write-protected or not as
// the barrier wants it, whatever the kernel answers on the way.
//
// Pages that are there already are left as they are. Whoever waits for a page of the range is woken
// at the end, on every path [live-server].
#pragma once

#include <cstddef>
#include <span>
#include <weir/userfaultfd.hpp>

#include "runtime/faults/write_fault_handler.hpp"

namespace weir::faults {

// What became of the pages of a copy() or zero(), in their order: after `again` the first all() of
// them are dealt with.
struct FillCount {
  std::size_t put = 0;      // brought in
  std::size_t found = 0;    // were there already, and stay as they were
  std::size_t skipped = 0;  // not mapped any more
  std::size_t all() const { return put + found + skipped; }
};

// Zeros to copy, up to the largest page: ZEROPAGE cannot arm what it brings and refuses armed
// holes.
std::span<const std::byte> page_of_zeros();

class PageFiller {
 public:
  // `range` is what the source serves, `origin` the address of its offset 0.
  PageFiller(const Userfaultfd& descriptor, Range range, Address origin, WriteFaultHandler* writes,
             FillCause cause)
      : descriptor_(descriptor), range_(range), origin_(origin), writes_(writes), cause_(cause) {}

  // `from` lies outside all watched memory. What sticks out of the served range is left out.
  // Outcomes: done (all pages that are still mapped are there now), again, no_memory,
  // no_such_process, or what else failed.
  UffdOutcome copy(std::size_t offset, const std::byte* from, std::size_t bytes);
  UffdOutcome zero(std::size_t offset, std::size_t bytes);
  // The content is lost: whoever touches the pages gets SIGBUS (Linux 6.6; else `invalid`). Those
  // that are there already stay, but armed ones of them count as written.
  UffdOutcome poison(std::size_t offset, std::size_t bytes);

  // The pages are there already, or on their way no more: only wakes whoever waits for them.
  UffdOutcome leave(std::size_t offset, std::size_t bytes);

  const FillCount& count() const { return count_; }
  bool has_poisoned() const { return has_poisoned_; }
  bool for_write() const { return cause_.write; }

 private:
  template <class Put>
  UffdOutcome put(std::size_t offset, std::size_t bytes, Put put_run);
  UffdOutcome put_all(Range run, os::FunctionRef<UffdResult(Range)> put_some);
  UffdOutcome poison_page(Address page);

  const Userfaultfd& descriptor_;
  Range range_;
  Address origin_;
  WriteFaultHandler* writes_;
  FillCause cause_;
  FillCount count_;
  bool has_poisoned_ = false;
};

}  // namespace weir::faults
