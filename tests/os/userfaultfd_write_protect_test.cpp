// Write protection: synchronous, unpopulated, asynchronous; what waking and unregistering do to it.
#include <fcntl.h>

#include <string>

#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"
#include "tests/support/random.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

constexpr RegisterModes kBothModes = {RegisterMode::missing, RegisterMode::write_protect};

TEST_CASE("armed memory can be read, and written once the protection is removed") {
  auto uffd = open_or_skip("write protection",
                           Userfaultfd::Builder().require_features(UffdFeature::pagefault_flag_wp));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(3);
  std::memset(range.begin.as(), 'o', range.size);
  REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
  CHECK(rig.uffd.write_protect(range).ok());
  CHECK(peek(page_of(range, 1).begin) == 'o');
  CHECK(rig.has_no_event());

  rig.start([&] { poke(page_of(range, 1).begin, 'n'); });
  CHECK(rig.next_fault().address == page_of(range, 1).begin);
  CHECK(peek(page_of(range, 1).begin) == 'o');
  CHECK(rig.uffd.remove_write_protection(page_of(range, 1)).ok());
  rig.join();
  CHECK(peek(page_of(range, 1).begin) == 'n');
  CHECK(is_armed(page_of(range, 0).begin));
  CHECK_FALSE(is_armed(page_of(range, 1).begin));
  CHECK(is_armed(page_of(range, 2).begin));
}

TEST_CASE("a hole is armed only with wp_unpopulated, and stays so through a read") {
  for (const bool unpopulated : {false, true}) {
    auto builder = Userfaultfd::Builder().require_features(UffdFeature::pagefault_flag_wp);
    if (unpopulated) builder.require_features(UffdFeature::wp_unpopulated);
    auto uffd = open_or_skip("wp_unpopulated", builder);
    if (!uffd) return;
    Rig rig(std::move(*uffd));
    const Range range = rig.map(2);
    REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
    CHECK(rig.uffd.write_protect(range).ok());  // success either way: the kernel's trap
    CHECK(is_armed(range.begin) == unpopulated);
    if (!unpopulated) {
      poke(range.begin, 'x');  // would hang if it were armed
      CHECK(rig.has_no_event());
      continue;
    }
    CHECK(peek(range.begin) == 0);
    CHECK(is_armed(range.begin));
    for (std::size_t page : {0, 1}) {  // after a read, and never touched
      rig.start([&, page] { poke(page_of(range, page).begin, 'y'); });
      const PagefaultEvent fault = rig.next_fault();
      CHECK(fault.address == page_of(range, page).begin);
      CHECK(fault.write_protected);
      CHECK(rig.uffd.remove_write_protection(page_of(range, page)).ok());
      rig.join();
    }
  }
}

TEST_CASE("removing protection without waking leaves the writer asleep") {
  auto uffd = open_or_skip("DONTWAKE",
                           Userfaultfd::Builder().require_features(UffdFeature::pagefault_flag_wp));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  poke(range.begin, 'a');
  REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
  CHECK(rig.uffd.write_protect(range).ok());
  rig.start([&] { poke(range.begin, 'b'); });
  CHECK(rig.next_fault().address == range.begin);
  CHECK(rig.uffd.remove_write_protection(range, WakeMode::dont_wake).ok());
  CHECK(rig.uffd.info().value().total == 1);
  CHECK(peek(range.begin) == 'a');
  CHECK(rig.uffd.wake(range).ok());
  rig.join();
  CHECK(peek(range.begin) == 'b');
}

TEST_CASE("a writer that waits outlives unregistering, given a wake") {
  auto uffd = open_or_skip("unregister",
                           Userfaultfd::Builder().require_features(UffdFeature::pagefault_flag_wp));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  poke(range.begin, 'a');
  REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
  CHECK(rig.uffd.write_protect(range).ok());
  rig.start([&] { poke(range.begin, 'b'); });
  CHECK(rig.next_fault().address == range.begin);
  REQUIRE(rig.uffd.unregister(range));
  CHECK(rig.uffd.wake(range).ok());
  rig.join();
  CHECK(peek(range.begin) == 'b');
  CHECK_FALSE(is_armed(range.begin));
}

TEST_CASE("protecting memory that is not registered says so") {
  auto uffd = open_or_skip("not registered",
                           Userfaultfd::Builder().require_features(UffdFeature::pagefault_flag_wp));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  std::memset(range.begin.as(), 'x', range.size);
  const UffdResult nothing = rig.uffd.write_protect(range);
  CHECK(nothing.outcome == UffdOutcome::not_found);
  CHECK(error_of(nothing, "arming", range).code == ErrorCode::not_registered);
  CHECK_FALSE(is_armed(range.begin));

  // Half of it: an error too, and `bytes` claims nothing, though the kernel may have begun.
  REQUIRE(rig.uffd.register_with_mode(page_of(range, 0), RegisterMode::write_protect));
  const UffdResult half = rig.uffd.write_protect(range);
  CHECK(half.outcome == UffdOutcome::not_found);
  CHECK(half.bytes == 0);
  CHECK_FALSE(is_armed(page_of(range, 1).begin));
}

TEST_CASE("the mode must have been registered") {
  auto uffd = open_or_skip("modes", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));  // MISSING only
  const UffdResult result = rig.uffd.write_protect(range);
  CHECK(result.outcome == UffdOutcome::not_found);
  CHECK_FALSE(is_armed(range.begin));
}

TEST_CASE("asynchronous: the kernel lets writes through and remembers them, also its own") {
  for (const bool user_mode : {true, false}) {
    auto builder = Userfaultfd::Builder().require_features(UffdFeature::wp_async);
    builder.user_mode_only(user_mode).require_full(!user_mode);
    auto uffd = open_or_skip("wp_async", builder);
    if (!uffd) continue;
    Rig rig(std::move(*uffd));
    const Range range = rig.map(4);
    std::memset(range.begin.as(), 'o', 2 * page_size());
    REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
    CHECK(rig.uffd.write_protect(range).ok());

    poke(page_of(range, 0).begin, 'n');  // no thread needed: nobody waits
    poke(page_of(range, 2).begin, 'n');  // a hole
    const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK(::read(zero, page_of(range, 3).begin.as(), 8) == 8);
    ::close(zero);
    CHECK(rig.has_no_event());
    CHECK_FALSE(is_armed(page_of(range, 0).begin));
    CHECK(is_armed(page_of(range, 1).begin));
    CHECK_FALSE(is_armed(page_of(range, 2).begin));
    CHECK_FALSE(is_armed(page_of(range, 3).begin));
  }
}

TEST_CASE("a huge page that is armed as a whole stays one; the first write splits it") {
  auto uffd =
      open_or_skip("huge page", Userfaultfd::Builder().require_features(UffdFeature::wp_async));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  const auto memory = *os::Mapping::anonymous(kHuge, os::HugePages::prefer, kHuge);
  const Range range = memory.range();
  std::memset(memory.as(), 'h', range.size);
  REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
  auto pagemap = os::Pagemap::open();
  REQUIRE(pagemap);
  const auto bytes_of = [&](os::PageCategory category) {
    os::ScanQuery query;
    query.all_of = query.report = category;
    os::PageRegion buffer[4];
    std::size_t bytes = 0;
    const auto done = pagemap->scan(range, query, buffer,
                                    [&](Range run, os::PageCategories) { bytes += run.size; });
    REQUIRE_MESSAGE(done, done.error().message());
    return bytes;
  };
  if (bytes_of(os::PageCategory::huge) != kHuge)
    return print_skip("huge page", "the system gave none");

  CHECK(rig.uffd.write_protect(range).ok());
  CHECK(bytes_of(os::PageCategory::huge) == kHuge);
  REQUIRE(pagemap->rearm(range));
  CHECK(bytes_of(os::PageCategory::huge) == kHuge);
  CHECK(peek(page_of(range, 7).begin) == 'h');
  CHECK(bytes_of(os::PageCategory::written) == 0);

  poke(page_of(range, 7).begin, 'w');
  CHECK(bytes_of(os::PageCategory::written) == page_size());
  CHECK(bytes_of(os::PageCategory::huge) == 0);
}

TEST_CASE("asynchronous write protection and missing pages share one descriptor") {
  auto uffd =
      open_or_skip("wp_async", Userfaultfd::Builder().require_features(UffdFeature::wp_async));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_with_mode(range, kBothModes));
  rig.start([&] { poke(range.begin + 3, 'w'); });
  const PagefaultEvent fault = rig.next_fault();
  CHECK(fault.write);
  CHECK_FALSE(fault.write_protected);
  CHECK(rig.uffd
            .copy(range.begin, page_filled_with('i').data(), page_size(), CopyMode::write_protected)
            .ok());
  rig.join();
  CHECK(peek(range.begin) == 'i');
  CHECK(peek(range.begin + 3) == 'w');
  CHECK(rig.has_no_event());           // the write itself was resolved in the kernel
  CHECK_FALSE(is_armed(range.begin));  // and remembered
}

TEST_CASE("without the fork event a child has neither protection nor missing pages") {
  auto uffd =
      open_or_skip("fork", Userfaultfd::Builder().require_features(UffdFeature::wp_unpopulated));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_with_mode(range, kBothModes));
  CHECK(rig.uffd
            .copy(range.begin, page_filled_with('p').data(), page_size(), CopyMode::write_protected)
            .ok());
  const ChildResult result = in_child([&](auto) {
    poke(range.begin, 'c');
    return peek(page_of(range, 1).begin) == 0 && peek(range.begin + 1) == 'p' ? 0 : 1;
  });
  CHECK(result.exit_code == 0);
  CHECK(rig.has_no_event());
  CHECK(is_armed(range.begin));
  CHECK(peek(range.begin) == 'p');
}

TEST_CASE("random arming and disarming agrees with a shadow copy") {
  const std::uint64_t seed = seed_for("random arming");
  CAPTURE(seed);
  Random random(seed);
  auto uffd =
      open_or_skip("wp_async", Userfaultfd::Builder().require_features(UffdFeature::wp_async));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  constexpr std::size_t kPages = 64;
  const Range range = rig.map(kPages);
  REQUIRE(rig.uffd.register_with_mode(range, RegisterMode::write_protect));
  std::vector<bool> armed(kPages);
  std::vector<std::uint64_t> entries(kPages);
  auto pagemap = os::Pagemap::open();
  REQUIRE(pagemap);
  for (std::size_t step = 0; step < scaled(2000); ++step) {
    const std::size_t first = random() % kPages;
    const std::size_t count = 1 + random() % (kPages - first);
    switch (random() % 4) {
      case 0:
        CHECK(rig.uffd.write_protect(page_of(range, first, count)).ok());
        std::fill_n(armed.begin() + static_cast<std::ptrdiff_t>(first), count, true);
        break;
      case 1:
        CHECK(rig.uffd.remove_write_protection(page_of(range, first, count)).ok());
        std::fill_n(armed.begin() + static_cast<std::ptrdiff_t>(first), count, false);
        break;
      case 2:
        poke(page_of(range, first).begin + random() % page_size(), 'w');
        armed[first] = false;
        break;
      default:
        (void)peek(page_of(range, first).begin + random() % page_size());
    }
    REQUIRE(pagemap->read_entries(range.begin, entries));
    for (std::size_t page = 0; page < kPages; ++page) {
      if (((entries[page] & os::kEntryWriteProtected) != 0) != armed[page]) {
        FAIL("step " << step << ", page " << page << " should be armed: " << armed[page]);
      }
    }
  }
}

}  // namespace
}  // namespace weir
