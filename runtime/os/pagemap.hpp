// /proc/self/pagemap: what the page tables say, among it which pages were written (PAGEMAP_SCAN,
// Linux 6.7). For the barriers and the pager; any thread. Allocates nothing but in open().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <weir/address.hpp>
#include <weir/error.hpp>
#include <weir/flags.hpp>
#include <weir/memory_fd.hpp>

#include "runtime/os/page_size.hpp"

namespace weir::os {

enum class PageCategory : std::uint64_t {
  wp_allowed = 1 << 0,  // registered for WP_ASYNC
  written = 1 << 1,     // not, or no longer, write-protected by it; unpopulated pages too
  file = 1 << 2,
  present = 1 << 3,
  swapped = 1 << 4,  // or a marker: an armed hole, a poisoned page
  pfn_zero = 1 << 5,
  huge = 1 << 6,
  soft_dirty = 1 << 7,
  guard = 1 << 8,  // Linux 6.15
};
using PageCategories = Flags<PageCategory>;

// The kernel's struct page_region.
struct PageRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};

// Which pages, and what to do with them. A page matches when it has all of `all_of`, and one of
// `any_of` unless that is empty; a category in `inverted` counts as had when it is absent.
struct ScanQuery {
  PageCategories all_of;
  PageCategories any_of;
  PageCategories inverted;
  PageCategories report;       // what the sink is told, and what tells runs apart
  bool rearm = false;          // write-protect what matches, in the same step
  bool check_wp_async = true;  // fail, unless all of it is registered for WP_ASYNC [checked-scan]
  std::size_t max_pages = 0;   // stop after so many matches, at the end of the last run; 0: never
};

// What one system call did: `regions` of the buffer are filled, all before `walk_end` is done.
struct ScanStep {
  std::size_t regions = 0;
  Address walk_end;
};

// Bits of a pagemap word.
inline constexpr std::uint64_t kEntrySoftDirty = 1ull << 55;
inline constexpr std::uint64_t kEntryWriteProtected = 1ull << 57;  // by a userfaultfd
inline constexpr std::uint64_t kEntryFile = 1ull << 61;
inline constexpr std::uint64_t kEntrySwapped = 1ull << 62;
inline constexpr std::uint64_t kEntryPresent = 1ull << 63;

class Pagemap {
 public:
  static Expected<Pagemap> open();

  Pagemap() = default;  // empty, as in a forked child: every operation fails with `closed`
  int fd() const { return fd_.get(); }

  // Calls sink(Range run, PageCategories) for each run of matching pages, in address order; runs
  // that touch have different categories. `buffer` may be as short as one region.
  //
  // Errors: unsupported (no PAGEMAP_SCAN here); not_registered (see check_wp_async); misaligned;
  // invalid_argument; closed (somebody closed the descriptor: its number is another file by now,
  // say the pagemap of another process, which has other pages). After an error in the middle of a
  // scan that re-arms, pages may have been re-armed without a report: count the whole range as
  // written.
  template <class Sink>
  Expected<> scan(Range range, const ScanQuery& query, std::span<PageRegion> buffer,
                  Sink&& sink) const;

  // One system call of a scan; it may stop anywhere.
  Expected<ScanStep> scan_once(Range range, const ScanQuery& query,
                               std::span<PageRegion> buffer) const;

  // Write-protects all of the range, whatever it has on it, holes included. Same errors.
  Expected<> rearm(Range range) const;

  // The pagemap words of entries.size() pages from `first_page` on.
  Expected<> read_entries(Address first_page, std::span<std::uint64_t> entries) const;

 private:
  Expected<> check_is_ours(const char* what, Range range) const;
  Expected<ScanStep> scan_step(Range range, const ScanQuery& query, PageRegion* regions,
                               std::size_t count) const;
  MemoryFd fd_;
};

// The kernel may return early with room left in the buffer, so only walk_end tells whether a scan
// is finished, never the number of regions; and it may cut one run in two, which is put together
// here.
template <class Sink>
Expected<> Pagemap::scan(Range range, const ScanQuery& query, std::span<PageRegion> buffer,
                         Sink&& sink) const {
  Range run;
  std::uint64_t categories = 0;
  const auto flush = [&] {
    if (!run.empty()) sink(run, PageCategories::from_bits(categories));
  };

  ScanQuery rest = query;
  for (Address from = range.begin; from < range.end();) {
    const auto step = scan_once(Range::between(from, range.end()), rest, buffer);
    if (!step) {
      flush();  // has been taken: it must not get lost
      return Unexpected(step.error());
    }
    std::size_t bytes = 0;
    for (const PageRegion& region : buffer.first(step->regions)) {
      const Range next = Range::between(Address(region.start), Address(region.end));
      bytes += next.size;
      if (next.begin == run.end() && region.categories == categories && !run.empty()) {
        run.size += next.size;
        continue;
      }
      flush();
      run = next;
      categories = region.categories;
    }
    from = step->walk_end;
    if (query.max_pages != 0) {
      const std::size_t pages = bytes >> page_shift();
      if (pages >= rest.max_pages) break;
      rest.max_pages -= pages;
    }
  }
  flush();
  return {};
}

}  // namespace weir::os
