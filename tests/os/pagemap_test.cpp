#include "runtime/os/pagemap.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <string>

#include "runtime/os/abi.hpp"
#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"
#include "tests/support/random.hpp"

namespace weir {
namespace {

using os::page_size;
using os::PageCategories;
using os::PageCategory;
using os::Pagemap;
using os::PageRegion;
using os::ScanQuery;
using namespace test;

struct Run {
  Range range;
  PageCategories categories;
  friend bool operator==(const Run&, const Run&) = default;
};

ScanQuery written_pages() {
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

  void write(std::size_t page) { poke(page_of(range, page).begin + page % page_size(), 'w'); }

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
      for (std::size_t at = 0; at < run.range.size; at += page_size())
        pages.push_back((run.range.begin + at - range.begin) / page_size());
    return pages;
  }
  std::vector<std::size_t> written(std::size_t buffer_size = 16) {
    return pages_of(scan(written_pages(), buffer_size));
  }
};

using Pages = std::vector<std::size_t>;

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

TEST_CASE("the result does not depend on the buffer, nor on who cuts it") {
  const std::uint64_t seed = seed_for("scan buffers");
  CAPTURE(seed);
  Random random(seed);
  constexpr std::size_t kPages = 2100;  // more than the kernel's own buffer of 512 regions holds
  auto tracked = Tracked::make("scan buffers", kPages);
  if (!tracked) return;
  for (std::size_t round = 0; round < scaled(20); ++round) {
    REQUIRE(tracked->pagemap.rearm(tracked->range));
    Pages expected;
    std::size_t runs = 0;
    const std::uint64_t density = round == 0 ? 0 : round == 1 ? 100 : random() % 101;
    for (std::size_t page = 0; page < kPages; ++page) {
      // The third round is the worst case: no two neighbours alike.
      if (round == 2 ? page % 2 != 0 : random() % 100 >= density) continue;
      tracked->write(page);
      if (expected.empty() || expected.back() + 1 != page) ++runs;
      expected.push_back(page);
    }
    for (std::size_t size : {std::size_t{1}, std::size_t{4}, std::size_t{32}, runs + 1,
                             std::max<std::size_t>(runs, 1), std::size_t{4096}}) {
      CAPTURE(size);
      const std::vector<Run> found = tracked->scan(written_pages(), size);
      CHECK(found.size() == runs);  // runs that touch are one run
      REQUIRE(tracked->pages_of(found) == expected);
    }
    ScanQuery take = written_pages();
    take.rearm = true;
    REQUIRE(tracked->pages_of(tracked->scan(take, 1 + random() % 40)) == expected);
    REQUIRE(tracked->written() == Pages{});
  }
}

TEST_CASE("one step tells where it stopped; a full buffer is not the end, nor is an unfilled one") {
  auto tracked = Tracked::make("walk_end", 9);
  if (!tracked) return;
  for (std::size_t page : {1, 3, 5, 7}) tracked->write(page);
  PageRegion buffer[4];
  const auto first =
      tracked->pagemap.scan_once(tracked->range, written_pages(), std::span(buffer).first(2));
  REQUIRE(first);
  CHECK(first->regions == 2);
  CHECK(Address(buffer[1].end) == page_of(tracked->range, 4).begin);
  CHECK(first->walk_end >= Address(buffer[1].end));
  CHECK(first->walk_end <= page_of(tracked->range, 5).begin);
  const auto rest = tracked->pagemap.scan_once(
      Range::between(first->walk_end, tracked->range.end()), written_pages(), buffer);
  REQUIRE(rest);
  CHECK(rest->regions == 2);
  CHECK(rest->walk_end == tracked->range.end());
}

TEST_CASE("a buffer of more regions than the kernel collects at once reports no page twice") {
  auto tracked = Tracked::make("long buffer", 2100);
  if (!tracked) return;
  Pages expected;
  for (std::size_t page = 0; page < 2100; page += 2) {
    tracked->write(page);
    expected.push_back(page);
  }
  for (std::size_t size : {511, 512, 513, 1049, 1050, 1051, 4096}) {
    CAPTURE(size);
    CHECK(tracked->written(size) == expected);
    std::vector<PageRegion> buffer(size);
    const auto step = tracked->pagemap.scan_once(tracked->range, written_pages(), buffer);
    REQUIRE(step);
    CHECK(step->walk_end >= Address(buffer[step->regions - 1].end));
  }
}

TEST_CASE("max_pages: none, one, some, exactly all, more") {
  auto tracked = Tracked::make("max_pages", 12);
  if (!tracked) return;
  const Pages dirty = {0, 1, 2, 5, 7, 8, 11};
  for (std::size_t page : dirty) tracked->write(page);
  for (std::size_t limit : {0, 1, 2, 3, 4, 6, 7, 8, 100}) {
    CAPTURE(limit);
    ScanQuery query = written_pages();
    query.max_pages = limit;
    const std::size_t expected = limit == 0 ? dirty.size() : std::min(limit, dirty.size());
    for (std::size_t size : {1, 2, 16})
      CHECK(tracked->pages_of(tracked->scan(query, size)) ==
            Pages(dirty.begin(), dirty.begin() + static_cast<std::ptrdiff_t>(expected)));
  }
  ScanQuery take = written_pages();
  take.rearm = true;
  take.max_pages = 4;
  CHECK(tracked->pages_of(tracked->scan(take, 1)) == Pages{0, 1, 2, 5});
  CHECK(tracked->written() == Pages{7, 8, 11});  // what was not reported was not re-armed
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

TEST_CASE("what was taken before an error is still reported") {
  auto tracked = Tracked::make("error half-way", 8);
  if (!tracked) return;
  for (std::size_t page : {0, 1, 4}) tracked->write(page);
  // The scan runs into the second half only after its buffer was full twice.
  REQUIRE(tracked->rig.uffd.unregister(page_of(tracked->range, 6, 2)));
  ScanQuery take = written_pages();
  take.rearm = true;
  PageRegion buffer[1];
  std::vector<Run> runs;
  const auto done =
      tracked->pagemap.scan(tracked->range, take, buffer, [&](Range run, PageCategories what) {
        runs.push_back({run, what});
      });
  REQUIRE_FALSE(done);
  CHECK(done.error().code == ErrorCode::not_registered);
  const Pages pages = tracked->pages_of(runs);
  REQUIRE(pages.size() >= 2);
  CHECK(pages[0] == 0);
  CHECK(pages[1] == 1);
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

TEST_CASE("a write between two scans that re-arm is in one of them, whoever writes when") {
  const std::uint64_t seed = seed_for("concurrent scans");
  CAPTURE(seed);
  constexpr std::size_t kPages = 32;
  auto tracked = Tracked::make("concurrent scans", kPages);
  if (!tracked) return;
  // Each thread writes rising numbers to a slot of its own in random pages. Slots are read before
  // and after each scan: what changed between the end of one and the beginning of the next must be
  // in the next; what changed in between, in either.
  constexpr std::size_t kThreads = 3;
  const std::size_t writes = scaled(20'000);
  const auto slot = [&](std::size_t page, std::size_t thread) {
    return std::atomic_ref<std::uint64_t>(
        page_of(tracked->range, page).begin.as<std::uint64_t>()[8 + thread * 8]);
  };
  for (std::size_t page = 0; page < kPages; ++page)
    for (std::size_t thread = 0; thread < kThreads; ++thread) slot(page, thread).store(0);
  REQUIRE(tracked->pagemap.rearm(tracked->range));

  std::atomic<std::size_t> running = kThreads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    tracked->rig.start([&, thread] {
      Random random(seed + thread);
      for (std::size_t i = 1; i <= writes; ++i) slot(random() % kPages, thread).store(i);
      --running;
    });
  }
  ScanQuery take = written_pages();
  take.rearm = true;
  const auto read_slots = [&] {
    std::vector<std::uint64_t> values;
    for (std::size_t page = 0; page < kPages; ++page)
      for (std::size_t thread = 0; thread < kThreads; ++thread)
        values.push_back(slot(page, thread).load());
    return values;
  };
  std::vector<std::uint64_t> last_before(kPages * kThreads, 0);
  std::vector<std::uint64_t> last_after = last_before;
  std::vector<bool> last_reported(kPages);
  std::size_t lost = 0, scans = 0, found = 0;
  for (bool last = false; !last; ++scans) {
    last = running == 0;
    const std::vector<std::uint64_t> before = read_slots();
    std::vector<bool> reported(kPages);
    for (std::size_t page : tracked->pages_of(tracked->scan(take, 3))) {
      reported[page] = true;
      ++found;
    }
    const std::vector<std::uint64_t> after = read_slots();
    for (std::size_t i = 0; i < before.size(); ++i) {
      const std::size_t page = i / kThreads;
      if (reported[page]) continue;
      if (before[i] != last_after[i]) ++lost;
      if (before[i] != last_before[i] && !last_reported[page]) ++lost;
    }
    last_before = before;
    last_after = after;
    last_reported = reported;
  }
  CAPTURE(scans);
  CHECK(found >= kPages);  // each page was written by somebody
  CHECK(lost == 0);
  tracked->rig.join();
}

}  // namespace
}  // namespace weir
