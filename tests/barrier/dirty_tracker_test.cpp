// The tracker for anybody's memory: the public face of the barriers.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>
#include <weir/dirty_tracker.hpp>

#include "runtime/os/page_size.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Pages {
  explicit Pages(std::size_t count) : size(count * os::page_size()) {
    memory = static_cast<char*>(std::aligned_alloc(os::page_size(), size));
    std::memset(memory, 1, size);
  }
  ~Pages() { std::free(memory); }
  char* operator[](std::size_t page) const { return memory + page * os::page_size(); }

  std::size_t size;
  char* memory;
};

std::set<std::size_t> take(DirtyTracker& tracker, const Pages& pages) {
  std::set<std::size_t> written;
  const auto taken = tracker.take([&](Range run) {
    const Address begin(pages.memory);
    if (!Range::of(pages.memory, pages.size).contains(run)) return;
    for (Address a = run.begin; a < run.end(); a = a + os::page_size())
      written.insert((a - begin) / os::page_size());
  });
  REQUIRE(taken.has_value());
  return written;
}

// What auto may fall back to where nothing better works; its reports are a superset.
bool matches(const DirtyTracker& tracker, const std::set<std::size_t>& got,
             const std::set<std::size_t>& written) {
  if (tracker.barrier() != BarrierKind::always_dirty) return got == written;
  return std::includes(got.begin(), got.end(), written.begin(), written.end());
}

}  // namespace

TEST_CASE("the example of the README: watch, write, take") {
  auto created = DirtyTracker::create();
  REQUIRE_MESSAGE(created.has_value(), created.error().message());
  DirtyTracker tracker = std::move(*created);
  std::printf("auto is %s here\n", name_of(tracker.barrier()));
  for (const BarrierRefusal& refusal : tracker.refusals())
    std::printf("  not %s: %s\n", name_of(refusal.kind), refusal.why.message().c_str());

  const Pages pages(32);
  REQUIRE(tracker.watch(pages.memory, pages.size).has_value());
  CHECK(matches(tracker, take(tracker, pages), {}));
  *pages[3] = 'x';
  *pages[4] = 'x';
  *pages[30] = 'x';
  CHECK(matches(tracker, take(tracker, pages), {3, 4, 30}));
  CHECK(matches(tracker, take(tracker, pages), {}));
  REQUIRE(tracker.unwatch(pages.memory, pages.size).has_value());
  *pages[5] = 'x';
  CHECK(take(tracker, pages).empty());
}

TEST_CASE("the sink may read and write watched memory, and watch and unwatch are errors' friends") {
  for (BarrierKind kind : {BarrierKind::async, BarrierKind::uffd_thread, BarrierKind::uffd_sigbus,
                           BarrierKind::mprotect}) {
    DirtyTracker::Options options;
    options.barrier = kind;
    auto created = DirtyTracker::create(options);
    if (!created) {
      std::printf("skipped %s: %s\n", name_of(kind), created.error().message().c_str());
      continue;
    }
    DirtyTracker tracker = std::move(*created);
    const Pages pages(16);
    REQUIRE(tracker.watch(pages.memory, pages.size).has_value());
    *pages[2] = 'x';
    std::size_t sum = 0;
    REQUIRE(tracker
                .take([&](Range run) {
                  sum += static_cast<std::size_t>(*run.begin.as<char>());
                  *pages[9] = 'y';
                })
                .has_value());
    CHECK(sum == 'x');
    CHECK(take(tracker, pages) == std::set<std::size_t>{9});

    const auto twice = tracker.watch(pages.memory, pages.size);
    REQUIRE_FALSE(twice.has_value());
    CHECK(twice.error().code == ErrorCode::busy);
    const auto odd = tracker.watch(pages.memory + 1, os::page_size());
    REQUIRE_FALSE(odd.has_value());
    CHECK(odd.error().code == ErrorCode::misaligned);
    const auto unknown = tracker.unwatch(pages[1], os::page_size());
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == ErrorCode::not_registered);
    void* hole = ::mmap(nullptr, os::page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(::munmap(hole, os::page_size()) == 0);
    CHECK_FALSE(tracker.watch(hole, os::page_size()).has_value());
    *pages[4] = 'z';
    CHECK(take(tracker, pages) == std::set<std::size_t>{4});
  }
}

TEST_CASE("two trackers at once, on different memory, and one on the other's is refused") {
  auto one = DirtyTracker::create();
  auto two = DirtyTracker::create();
  REQUIRE(one.has_value());
  REQUIRE(two.has_value());
  const Pages a(8);
  const Pages b(8);
  REQUIRE(one->watch(a.memory, a.size).has_value());
  REQUIRE(two->watch(b.memory, b.size).has_value());
  *a[1] = 'x';
  *b[2] = 'x';
  CHECK(matches(*two, take(*two, b), {2}));
  CHECK(matches(*one, take(*one, a), {1}));
  if (one->barrier() == BarrierKind::async) {
    const auto stolen = one->watch(b.memory, b.size);
    REQUIRE_FALSE(stolen.has_value());
    CHECK(stolen.error().code == ErrorCode::busy);
  }
}

TEST_CASE("private file mappings and static data, with async") {
  DirtyTracker::Options options;
  options.barrier = BarrierKind::async;
  auto tracker = DirtyTracker::create(options);
  if (!tracker) {
    std::printf("skipped: %s\n", tracker.error().message().c_str());
    return;
  }
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  REQUIRE(::ftruncate(::fileno(file), static_cast<off_t>(8 * os::page_size())) == 0);
  void* mapped =
      ::mmap(nullptr, 8 * os::page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, ::fileno(file), 0);
  REQUIRE(mapped != MAP_FAILED);
  char* memory = static_cast<char*>(mapped);
  REQUIRE(tracker->watch(memory, 8 * os::page_size()).has_value());
  (void)tracker->take([](Range) {});
  memory[5 * os::page_size()] = 'x';
  std::size_t reported = 0;
  REQUIRE(tracker->take([&](Range run) { reported += run.size; }).has_value());
  CHECK(reported == os::page_size());
  REQUIRE(tracker->unwatch(memory, 8 * os::page_size()).has_value());
  ::munmap(mapped, 8 * os::page_size());
  std::fclose(file);
}

TEST_CASE("random writes over many watched ranges, against a shadow") {
  Random random(seed_for("dirty tracker"));
  auto created = DirtyTracker::create();
  REQUIRE(created.has_value());
  DirtyTracker tracker = std::move(*created);
  std::vector<std::unique_ptr<Pages>> ranges;
  for (int i = 0; i < 8; ++i) {
    ranges.push_back(std::make_unique<Pages>(1 + random() % 64));
    REQUIRE(tracker.watch(ranges.back()->memory, ranges.back()->size).has_value());
  }
  for (std::size_t cycle = 0; cycle < scaled(500); ++cycle) {
    std::set<char*> written;
    for (std::size_t n = random() % 40; n > 0; --n) {
      const Pages& pages = *ranges[random() % ranges.size()];
      char* page = pages[random() % (pages.size / os::page_size())];
      page[random() % os::page_size()] = 'w';
      written.insert(page);
    }
    std::set<char*> reported;
    const auto taken = tracker.take([&](Range run) {
      for (Address a = run.begin; a < run.end(); a = a + os::page_size())
        reported.insert(a.as<char>());
    });
    REQUIRE(taken.has_value());
    CHECK(*taken == reported.size() * os::page_size());
    REQUIRE(std::includes(reported.begin(), reported.end(), written.begin(), written.end()));
    if (tracker.barrier() != BarrierKind::always_dirty) REQUIRE(reported == written);
  }
}

TEST_CASE("the environment chooses, and a wrong name is refused with the right ones") {
  ::setenv("WEIR_BARRIER", "always-dirty", 1);
  auto chosen = DirtyTracker::create();
  REQUIRE(chosen.has_value());
  CHECK(chosen->barrier() == BarrierKind::always_dirty);
  ::setenv("WEIR_BARRIER", "allways-dirty", 1);
  const auto wrong = DirtyTracker::create();
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().message().find("always-dirty") != std::string::npos);
  ::setenv("WEIR_BARRIER", "uffd-thread", 1);
  ::setenv("WEIR_DELIVERY", "sigbus", 1);
  const auto impossible = DirtyTracker::create();
  REQUIRE_FALSE(impossible.has_value());
  CHECK(impossible.error().message().find("cannot go with") != std::string::npos);
  ::unsetenv("WEIR_DELIVERY");
  ::setenv("WEIR_BARRIER", "soft-dirty", 1);
  const auto losing = DirtyTracker::create();  // nobody promised that writers are stopped
  REQUIRE_FALSE(losing.has_value());
  CHECK(losing.error().message().find("writers stopped") != std::string::npos);
  ::unsetenv("WEIR_BARRIER");
}
