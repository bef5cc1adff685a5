// Populated memory under WP_ASYNC, scanned, for the tests of the pagemap.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "runtime/os/pagemap.hpp"
#include "tests/os/rig.hpp"

namespace weir::test {

using os::PageCategories;
using os::PageCategory;
using os::Pagemap;
using os::PageRegion;
using os::ScanQuery;

struct Run {
  Range range;
  PageCategories categories;
  friend bool operator==(const Run&, const Run&) = default;
};

inline ScanQuery written_pages() {
  ScanQuery query;
  query.all_of = query.report = PageCategory::written;
  return query;
}

// Populated, armed memory under WP_ASYNC.
struct Tracked {
  Rig rig;
  Pagemap pagemap;
  Range range;

  static std::optional<Tracked> make(const char* test, std::size_t pages) {
    auto uffd = open_or_skip(test, Userfaultfd::Builder().require_features(UffdFeature::wp_async));
    if (!uffd) return std::nullopt;
    Tracked tracked{Rig(std::move(*uffd)), {}, {}};
    tracked.range = tracked.rig.map(pages);
    auto pagemap = Pagemap::open();
    REQUIRE(pagemap);
    tracked.pagemap = std::move(*pagemap);
    std::memset(tracked.range.begin.as(), 'o', tracked.range.size);
    REQUIRE(tracked.rig.uffd.register_with_mode(tracked.range, RegisterMode::write_protect));
    const auto armed = tracked.pagemap.rearm(tracked.range);
    if (!armed && armed.error().code == ErrorCode::unsupported) {
      print_skip(test, armed.error().message());
      return std::nullopt;
    }
    REQUIRE(armed);
    return tracked;
  }

  void write(std::size_t page) { poke(page_of(range, page).begin + page % os::page_size(), 'w'); }

  std::vector<Run> scan(const ScanQuery& query, std::size_t buffer_size = 16) {
    std::vector<PageRegion> buffer(buffer_size);
    std::vector<Run> runs;
    const auto done = pagemap.scan(range, query, buffer, [&](Range run, PageCategories what) {
      runs.push_back({run, what});
    });
    REQUIRE_MESSAGE(done, done.error().message());
    return runs;
  }
  std::vector<std::size_t> pages_of(const std::vector<Run>& runs) const {
    std::vector<std::size_t> pages;
    for (const Run& run : runs)
      for (std::size_t at = 0; at < run.range.size; at += os::page_size())
        pages.push_back((run.range.begin + at - range.begin) / os::page_size());
    return pages;
  }
  std::vector<std::size_t> written(std::size_t buffer_size = 16) {
    return pages_of(scan(written_pages(), buffer_size));
  }
};

using Pages = std::vector<std::size_t>;

}  // namespace weir::test
