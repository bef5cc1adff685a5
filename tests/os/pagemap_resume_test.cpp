// A scan takes many system calls: none may be forgotten, doubled or lost, whoever writes meanwhile.
#include <algorithm>
#include <atomic>

#include "tests/os/tracked.hpp"
#include "tests/support/random.hpp"

namespace weir {
namespace {

using namespace test;

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
