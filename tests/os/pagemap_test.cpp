// What PAGEMAP_SCAN and pagemap words tell, and what is refused. Resuming and concurrency are in
// pagemap_resume_test.cpp.
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "runtime/os/abi.hpp"
#include "tests/os/child.hpp"
#include "tests/os/tracked.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

TEST_CASE("a scan reports what was written since it was armed, reads not, and re-arms on request") {
  auto tracked = Tracked::make("scan", 8);
  if (!tracked) return;
  CHECK(tracked->written() == Pages{});
  for (std::size_t page = 0; page < 8; ++page) (void)peek(page_of(tracked->range, page).begin);
  CHECK(tracked->written() == Pages{});
  for (std::size_t page : {0, 3, 4, 7}) tracked->write(page);
  const std::vector<Run> runs = tracked->scan(written_pages());
  CHECK(runs == std::vector<Run>{{page_of(tracked->range, 0), PageCategory::written},
                                 {page_of(tracked->range, 3, 2), PageCategory::written},
                                 {page_of(tracked->range, 7), PageCategory::written}});
  CHECK(tracked->written() == Pages{0, 3, 4, 7});  // looking changes nothing

  ScanQuery take = written_pages();
  take.rearm = true;
  CHECK(tracked->pages_of(tracked->scan(take)) == Pages{0, 3, 4, 7});
  CHECK(tracked->written() == Pages{});
  tracked->write(4);
  CHECK(tracked->written() == Pages{4});
}

TEST_CASE("masks: all of, any of, inverted, and what is reported") {
  auto tracked = Tracked::make("masks", 6);
  if (!tracked) return;
  tracked->write(2);
  ::madvise(page_of(tracked->range, 4).begin.as(), page_size(), MADV_DONTNEED);
  REQUIRE(tracked->pagemap.rearm(page_of(tracked->range, 4)));

  ScanQuery query;
  query.all_of = query.report = PageCategory::present;
  CHECK(tracked->pages_of(tracked->scan(query)) == Pages{0, 1, 2, 3, 5});
  query.inverted = PageCategory::present;
  CHECK(tracked->pages_of(tracked->scan(query)) == Pages{4});

  // An armed hole is a marker where a swap entry would be, and counts as one.
  query = {};
  query.any_of = {PageCategory::written, PageCategory::swapped};
  query.report = {PageCategory::written, PageCategory::present, PageCategory::wp_allowed};
  CHECK(tracked->scan(query) ==
        std::vector<Run>{{page_of(tracked->range, 2), query.report},
                         {page_of(tracked->range, 4), PageCategory::wp_allowed}});

  query = {};
  query.report = {PageCategory::written, PageCategory::present};
  CHECK(
      tracked->scan(query) ==
      std::vector<Run>{{page_of(tracked->range, 0, 2), PageCategory::present},
                       {page_of(tracked->range, 2), {PageCategory::present, PageCategory::written}},
                       {page_of(tracked->range, 3), PageCategory::present},
                       {page_of(tracked->range, 4), {}},
                       {page_of(tracked->range, 5), PageCategory::present}});

  query = written_pages();
  query.all_of |= PageCategory::present;
  query.inverted = PageCategory::written;  // present and not written
  query.report = PageCategory::present;
  CHECK(tracked->pages_of(tracked->scan(query)) == Pages{0, 1, 3, 5});
}

TEST_CASE("what cannot be scanned is refused with a reason, before it changes anything") {
  auto tracked = Tracked::make("refused scans", 4);
  if (!tracked) return;
  tracked->write(1);
  PageRegion buffer[4];
  const auto sink = [](Range, PageCategories) { FAIL("nothing should be reported"); };
  const auto code_of = [&](Range range, const ScanQuery& query, std::span<PageRegion> room) {
    const auto done = tracked->pagemap.scan(range, query, room, sink);
    return done ? ErrorCode::system : done.error().code;
  };
  const Range range = tracked->range;
  ScanQuery take = written_pages();
  take.rearm = true;

  CHECK(code_of({range.begin + 1, page_size()}, take, buffer) == ErrorCode::misaligned);
  CHECK(code_of({range.begin, page_size() + 1}, take, buffer) == ErrorCode::misaligned);
  CHECK(code_of(range, take, {}) == ErrorCode::invalid_argument);
  ScanQuery odd = take;
  odd.report = {};
  CHECK(code_of(range, odd, buffer) == ErrorCode::invalid_argument);
  odd = take;
  odd.all_of = PageCategories::from_bits(1ull << 63);
  CHECK(code_of(range, odd, buffer) == ErrorCode::invalid_argument);
  const std::span<PageRegion> nowhere(Address(16).as<PageRegion>(), 4);
  CHECK(code_of(range, written_pages(), nowhere) == ErrorCode::system);  // EFAULT

  // [checked-scan]: not even by request.
  for (PageCategory asked : {PageCategory::written, PageCategory::present}) {
    odd = {};
    odd.report = odd.all_of = asked;
    odd.rearm = asked != PageCategory::written;
    odd.check_wp_async = false;
    CHECK(code_of(range, odd, buffer) == ErrorCode::invalid_argument);
  }
  CHECK(tracked->written() == Pages{1});
  CHECK(tracked->pagemap.scan(Range{range.begin, 0}, take, buffer, sink).has_value());
}

TEST_CASE("the kernel's own checks of the argument") {
  auto tracked = Tracked::make("argument checks", 2);
  if (!tracked) return;
  PageRegion regions[2];
  const auto error_with = [&](auto change) {
    os::abi::PmScanArg argument{};
    argument.size = sizeof argument;
    argument.start = tracked->range.begin.value();
    argument.end = tracked->range.end().value();
    argument.vec = Address(&regions[0]).value();
    argument.vec_len = 2;
    argument.category_mask = argument.return_mask = 2;
    change(argument);
    return ::ioctl(tracked->pagemap.fd(), os::abi::kPagemapScan, &argument) < 0 ? errno : 0;
  };
  using Argument = os::abi::PmScanArg;
  CHECK(error_with([](Argument&) {}) == 0);
  CHECK(error_with([](Argument& a) { a.size = 88; }) == EINVAL);
  CHECK(error_with([](Argument& a) { a.size = 0; }) == EINVAL);
  CHECK(error_with([](Argument& a) { a.flags = 1ull << 40; }) == EINVAL);
  CHECK(error_with([](Argument& a) { a.start += 1; }) == EINVAL);
  CHECK(error_with([](Argument& a) { a.category_mask = 1ull << 40; }) == EINVAL);
  CHECK(error_with([](Argument& a) { a.return_mask = 1ull << 40; }) == EINVAL);
  CHECK(error_with([](Argument& a) { a.end -= 1; }) == 0);  // rounded up
}

TEST_CASE("memory without asynchronous write protection is refused, not found clean") {
  auto tracked = Tracked::make("check_wp_async", 2);
  if (!tracked) return;
  auto sync = Userfaultfd::Builder().require_features(UffdFeature::wp_unpopulated).create();
  REQUIRE(sync);
  const Range plain = tracked->rig.map(2);
  const Range other = tracked->rig.map(2);
  std::memset(plain.begin.as(), 'x', plain.size);
  std::memset(other.begin.as(), 'x', other.size);
  REQUIRE(sync->register_with_mode(other, RegisterMode::write_protect));

  PageRegion buffer[2];
  ScanQuery take = written_pages();
  take.rearm = true;
  for (Range range : {plain, other}) {
    const auto refused = tracked->pagemap.scan(range, take, buffer, [](Range, PageCategories) {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::not_registered);
    CHECK(refused.error().sys_errno == EPERM);
    CHECK(refused.error().message().find("wp_async") != std::string::npos);
    CHECK(tracked->pagemap.rearm(range).error().code == ErrorCode::not_registered);
  }
  // Other questions may be asked of any memory.
  ScanQuery present;
  present.all_of = present.report = PageCategory::present;
  present.check_wp_async = false;
  std::size_t bytes = 0;
  REQUIRE(tracked->pagemap.scan(plain, present, buffer,
                                [&](Range run, PageCategories) { bytes += run.size; }));
  CHECK(bytes == plain.size);
}

TEST_CASE("after the userfaultfd is closed a scan fails; it does not report nothing") {
  auto tracked = Tracked::make("closed", 2);
  if (!tracked) return;
  tracked->write(0);
  tracked->rig.uffd = Userfaultfd();
  PageRegion buffer[2];
  const auto refused =
      tracked->pagemap.scan(tracked->range, written_pages(), buffer, [](Range, PageCategories) {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::not_registered);
}

TEST_CASE("re-arming takes everything in its range and nothing else, holes included") {
  auto tracked = Tracked::make("rearm", 6);
  if (!tracked) return;
  ::madvise(page_of(tracked->range, 2).begin.as(), page_size(), MADV_DONTNEED);
  for (std::size_t page : {0, 1, 3, 5}) tracked->write(page);
  REQUIRE(tracked->pagemap.rearm(page_of(tracked->range, 1, 3)));
  CHECK_FALSE(is_armed(page_of(tracked->range, 0).begin));
  CHECK(is_armed(page_of(tracked->range, 1).begin));
  CHECK(is_armed(page_of(tracked->range, 2).begin));
  CHECK(is_armed(page_of(tracked->range, 3).begin));
  CHECK_FALSE(is_armed(page_of(tracked->range, 5).begin));
  CHECK(tracked->written() == Pages{0, 5});
  tracked->write(2);  // the hole
  CHECK(tracked->written() == Pages{0, 2, 5});
  CHECK(tracked->pagemap.rearm(Range{tracked->range.begin + 8, page_size()}).error().code ==
        ErrorCode::misaligned);
}

TEST_CASE("unpopulated pages: asking for present or swapped ones too reports just the written") {
  auto uffd = open_or_skip("holes", Userfaultfd::Builder().require_features(UffdFeature::wp_async));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  constexpr std::size_t kPages = 4096;  // 16 MiB: whole page tables are missing too
  const Range range = rig.map(kPages);
  REQUIRE(rig.uffd.register_with_mode(range, {RegisterMode::missing, RegisterMode::write_protect}));
  auto pagemap = Pagemap::open();
  REQUIRE(pagemap);
  const auto content = page_filled_with('i');
  Pages expected;
  for (std::size_t page = 7; page < kPages / 2; page += 100) {
    CHECK(rig.uffd
              .copy(page_of(range, page).begin, content.data(), page_size(),
                    CopyMode::write_protected)
              .ok());
    if (page % 200 == 7) {
      poke(page_of(range, page).begin, 'w');
      expected.push_back(page);
    }
  }
  std::vector<PageRegion> buffer(64);
  const auto scan = [&](const ScanQuery& query) {
    Pages pages;
    const auto done = pagemap->scan(range, query, buffer, [&](Range run, PageCategories) {
      for (std::size_t at = 0; at < run.size; at += page_size())
        pages.push_back((run.begin + at - range.begin) / page_size());
    });
    REQUIRE_MESSAGE(done, done.error().message());
    return pages;
  };
  ScanQuery populated = written_pages();
  populated.any_of = {PageCategory::present, PageCategory::swapped};
  CHECK(scan(populated) == expected);

  // The kernel has a short cut for the plain question, and it should not change the answer. Older
  // kernels leave holes out of the long way: no harm to those who ask as above.
  ScanQuery long_way = written_pages();
  long_way.any_of = PageCategory::written;
  const Pages quick = scan(written_pages());
  const Pages slow = scan(long_way);
  if (quick != slow)
    print_skip("holes", "an older kernel: " + std::to_string(quick.size()) +
                            " pages by the short "
                            "way, " +
                            std::to_string(slow.size()) + " by the long one");
  for (const Pages& found : {quick, slow}) {
    CHECK(std::includes(found.begin(), found.end(), expected.begin(), expected.end()));
    // Filled and clean: reported by neither.
    CHECK_FALSE(std::binary_search(found.begin(), found.end(), std::size_t{107}));
  }
}

TEST_CASE("a poisoned page counts as written and as swapped: it is a marker that nobody armed") {
  auto uffd = open_or_skip("poison", Userfaultfd::Builder().require_features(
                                         {UffdFeature::wp_async, UffdFeature::poison}));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_with_mode(range, {RegisterMode::missing, RegisterMode::write_protect}));
  CHECK(rig.uffd.poison(page_of(range, 1)).ok());
  auto pagemap = Pagemap::open();
  REQUIRE(pagemap);
  ScanQuery query = written_pages();
  query.any_of = {PageCategory::present, PageCategory::swapped};
  query.report = query.any_of | PageCategory::written;
  PageRegion buffer[2];
  std::vector<Run> runs;
  REQUIRE(pagemap->scan(range, query, buffer, [&](Range run, PageCategories what) {
    runs.push_back({run, what});
  }));
  CHECK(runs ==
        std::vector<Run>{{page_of(range, 1), {PageCategory::written, PageCategory::swapped}}});
}

TEST_CASE("a forked child must open its own, and then sees its own memory") {
  auto tracked = Tracked::make("fork", 2);
  if (!tracked) return;
  const ChildResult result = in_child([&](auto) {
    if (tracked->pagemap.fd() != -1) return 2;
    PageRegion buffer[2];
    const auto refused = tracked->pagemap.scan(tracked->range, written_pages(), buffer,
                                               [](Range, PageCategories) {});
    if (refused || refused.error().code != ErrorCode::closed) return 3;
    std::uint64_t entries[2];
    if (tracked->pagemap.read_entries(tracked->range.begin, entries)) return 4;
    auto own = Pagemap::open();
    if (!own) return 5;
    ::madvise(tracked->range.begin.as(), page_size(), MADV_DONTNEED);
    if (!own->read_entries(tracked->range.begin, entries)) return 6;
    return (entries[0] & os::kEntryPresent) == 0 && (entries[1] & os::kEntryPresent) != 0 ? 0 : 7;
  });
  CHECK(result.exit_code == 0);
  CHECK(is_present(tracked->range.begin));
  CHECK(tracked->written() == Pages{});
}

TEST_CASE("pagemap words tell present, armed and file pages") {
  auto tracked = Tracked::make("words", 3);
  if (!tracked) return;
  tracked->write(1);
  ::madvise(page_of(tracked->range, 2).begin.as(), page_size(), MADV_DONTNEED);
  std::uint64_t entries[3];
  REQUIRE(tracked->pagemap.read_entries(tracked->range.begin, entries));
  CHECK((entries[0] & (os::kEntryPresent | os::kEntryWriteProtected)) ==
        (os::kEntryPresent | os::kEntryWriteProtected));
  CHECK((entries[1] & (os::kEntryPresent | os::kEntryWriteProtected)) == os::kEntryPresent);
  CHECK((entries[2] & (os::kEntryPresent | os::kEntrySwapped)) == 0);
  CHECK((entries[0] & os::kEntryFile) == 0);
  std::uint64_t code = 0;
  static const char text[] = "in the executable";
  CHECK(text[0] == 'i');
  REQUIRE(tracked->pagemap.read_entries(Address(&text[0]).align_down(page_size()),
                                        std::span(&code, 1)));
  CHECK((code & os::kEntryFile) != 0);

  CHECK(tracked->pagemap.read_entries(tracked->range.begin + 1, entries).error().code ==
        ErrorCode::misaligned);
  const Address beyond(~std::uintptr_t{0} & ~(page_size() - 1));
  CHECK_FALSE(tracked->pagemap.read_entries(beyond, std::span(&code, 1)).has_value());
  CHECK(Pagemap().read_entries(tracked->range.begin, entries).error().code == ErrorCode::closed);
}

}  // namespace
}  // namespace weir
