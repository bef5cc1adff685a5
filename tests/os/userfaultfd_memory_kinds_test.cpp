// Memory that is not private and anonymous: shared memory (memfd) and hugetlbfs; MINOR faults and
// CONTINUE, which only these have.
#include <sys/mman.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "tests/os/rig.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

// A file in memory, mapped twice: `served` is for a userfaultfd, `direct` is the back door through
// which its page cache is filled.
struct TwiceMapped {
  Range served, direct;

  static TwiceMapped make(std::size_t bytes, unsigned memfd_flags, int map_flags) {
    TwiceMapped result;
    const int file = ::memfd_create("weir-test", MFD_CLOEXEC | memfd_flags);
    if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) return result;
    for (Range* range : {&result.served, &result.direct}) {
      void* memory =
          ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | map_flags, file, 0);
      if (memory != MAP_FAILED) *range = Range::of(memory, bytes);
    }
    ::close(file);
    return result;
  }
  TwiceMapped() = default;
  TwiceMapped(TwiceMapped&& other) noexcept
      : served(std::exchange(other.served, {})), direct(std::exchange(other.direct, {})) {}
  ~TwiceMapped() {
    for (Range range : {served, direct})
      if (!range.empty()) ::munmap(range.begin.as(), range.size);
  }
};

// Takes huge pages from the system for one test, and gives them back.
class HugePageReserve {
 public:
  explicit HugePageReserve(std::size_t pages) {
    before_ = read();
    write(before_ + pages);
    have_ = read() >= before_ + pages;
  }
  ~HugePageReserve() { write(before_); }
  bool enough() const { return have_; }

  static std::size_t page_bytes() {
    std::ifstream meminfo("/proc/meminfo");
    for (std::string line; std::getline(meminfo, line);)
      if (line.starts_with("Hugepagesize:")) return std::stoul(line.substr(13)) * 1024;
    return 0;
  }

 private:
  static constexpr const char* kFile = "/proc/sys/vm/nr_hugepages";
  static std::size_t read() {
    std::size_t pages = 0;
    std::ifstream(kFile) >> pages;
    return pages;
  }
  static void write(std::size_t pages) { std::ofstream(kFile) << pages << std::flush; }
  std::size_t before_ = 0;
  bool have_ = false;
};

TEST_CASE("shared memory: missing pages are filled, for all mappings of the file") {
  auto uffd =
      open_or_skip("shmem", Userfaultfd::Builder().require_features(UffdFeature::missing_shmem));
  if (!uffd) return;
  const TwiceMapped memory = TwiceMapped::make(2 * page_size(), 0, 0);
  REQUIRE(!memory.direct.empty());
  Rig rig(std::move(*uffd));
  const auto ioctls = rig.uffd.register_range(memory.served);
  REQUIRE(ioctls);
  CHECK(ioctls->has_all({UffdIoctl::copy, UffdIoctl::zeropage}));
  std::atomic<int> seen = -1;
  rig.start([&] { seen = peek(memory.served.begin); });
  const PagefaultEvent fault = rig.next_fault();
  CHECK(fault.address == memory.served.begin);
  CHECK_FALSE(fault.minor);
  CHECK(rig.uffd.copy(memory.served.begin, page_filled_with('s').data(), page_size()).ok());
  rig.join();
  CHECK(seen == 's');
  CHECK(peek(memory.direct.begin) == 's');
  REQUIRE(rig.uffd.unregister(memory.served));
}

TEST_CASE("shared memory: write protection, on pages and on holes") {
  auto uffd = open_or_skip(
      "WP on shmem", Userfaultfd::Builder().require_features(UffdFeature::wp_hugetlbfs_shmem));
  if (!uffd) return;
  const TwiceMapped memory = TwiceMapped::make(2 * page_size(), 0, 0);
  REQUIRE(!memory.direct.empty());
  Rig rig(std::move(*uffd));
  poke(memory.served.begin, 'o');
  const auto ioctls = rig.uffd.register_with_mode(memory.served, RegisterMode::write_protect);
  REQUIRE(ioctls);
  CHECK(ioctls->has(UffdIoctl::write_protect));
  CHECK(rig.uffd.write_protect(memory.served).ok());
  for (std::size_t page : {0, 1}) {  // file memory has markers for holes without wp_unpopulated
    const Range part = page_of(memory.served, page);
    CHECK(is_armed(part.begin));
    rig.start([part] { poke(part.begin, 'n'); });
    const PagefaultEvent fault = rig.next_fault();
    CHECK(fault.address == part.begin);
    CHECK(fault.write_protected);
    CHECK(rig.uffd.remove_write_protection(part).ok());
    rig.join();
    CHECK(peek(page_of(memory.direct, page).begin) == 'n');
  }
  REQUIRE(rig.uffd.unregister(memory.served));
}

TEST_CASE("shared memory: a minor fault is continued with what the page cache has") {
  auto uffd =
      open_or_skip("MINOR", Userfaultfd::Builder().require_features(UffdFeature::minor_shmem));
  if (!uffd) return;
  const TwiceMapped memory = TwiceMapped::make(3 * page_size(), 0, 0);
  REQUIRE(!memory.direct.empty());
  Rig rig(std::move(*uffd));
  const auto ioctls = rig.uffd.register_with_mode(memory.served, RegisterMode::minor);
  REQUIRE(ioctls);
  CHECK(ioctls->has(UffdIoctl::continue_range));
  poke(memory.direct.begin, 'd');
  std::atomic<int> seen = -1;
  rig.start([&] { seen = peek(memory.served.begin); });
  const PagefaultEvent fault = rig.next_fault();
  CHECK(fault.minor);
  CHECK_FALSE(fault.write_protected);
  poke(memory.direct.begin, 'e');  // the last moment to change it
  CHECK(rig.uffd.continue_range(page_of(memory.served, 0)).ok());
  rig.join();
  CHECK(seen == 'e');

  // A mapped page, a page that the cache does not have, a run of both.
  CHECK(rig.uffd.continue_range(page_of(memory.served, 0)).outcome == UffdOutcome::exists);
  CHECK(rig.uffd.continue_range(page_of(memory.served, 1)).outcome == UffdOutcome::bad_address);
  poke(page_of(memory.direct, 1).begin, 'f');
  const UffdResult partial = rig.uffd.continue_range(page_of(memory.served, 1, 2));
  CHECK(partial.outcome == UffdOutcome::partial);
  CHECK(partial.bytes == page_size());
  REQUIRE(rig.uffd.unregister(memory.served));
}

TEST_CASE("the fill table's last row: CONTINUE onto a hole, an armed hole, a mapped page") {
  auto uffd = open_or_skip("MINOR and WP",
                           Userfaultfd::Builder().require_features(
                               {UffdFeature::minor_shmem, UffdFeature::wp_hugetlbfs_shmem}));
  if (!uffd) return;
  const TwiceMapped memory = TwiceMapped::make(6 * page_size(), 0, 0);
  REQUIRE(!memory.direct.empty());
  std::memset(memory.direct.begin.as(), 'd', memory.direct.size);
  Rig rig(std::move(*uffd));
  REQUIRE(rig.uffd.register_with_mode(memory.served,
                                      {RegisterMode::minor, RegisterMode::write_protect}));
  // UFFDIO_CONTINUE_MODE_WP has no feature of its own; it came with Linux 6.4, as this one did.
  const bool can_arm = Userfaultfd::available_features().value().has(UffdFeature::wp_unpopulated);
  for (std::size_t i : {0, 1}) {
    const CopyMode mode = i == 0 ? CopyMode::plain : CopyMode::write_protected;
    if (mode == CopyMode::write_protected && !can_arm) {
      CHECK(rig.uffd.continue_range(page_of(memory.served, 3), mode).outcome ==
            UffdOutcome::invalid);
      print_skip("CONTINUE with MODE_WP", "this kernel lacks it");
      break;
    }
    const Range hole = page_of(memory.served, 3 * i);
    const Range armed_hole = page_of(memory.served, 3 * i + 1);
    const Range mapped = page_of(memory.served, 3 * i + 2);
    CHECK(rig.uffd.write_protect(armed_hole).ok());
    CHECK(is_armed(armed_hole.begin));
    CHECK(rig.uffd.continue_range(mapped).ok());

    CHECK(rig.uffd.continue_range(hole, mode).ok());
    CHECK(is_armed(hole.begin) == (mode == CopyMode::write_protected));
    CHECK(rig.uffd.continue_range(armed_hole, mode).ok());
    CHECK(is_armed(armed_hole.begin) == (mode == CopyMode::write_protected));
    CHECK(rig.uffd.continue_range(mapped, mode).outcome == UffdOutcome::exists);
    CHECK_FALSE(is_armed(mapped.begin));
    CHECK(peek(hole.begin) == 'd');
  }
  REQUIRE(rig.uffd.unregister(memory.served));
}

TEST_CASE("anonymous memory has no minor faults") {
  auto uffd = open_or_skip("MINOR", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  CHECK(rig.uffd.register_with_mode(range, RegisterMode::minor).error().code ==
        ErrorCode::unsupported);
  REQUIRE(rig.uffd.register_range(range));
  CHECK(rig.uffd.continue_range(range).outcome == UffdOutcome::invalid);
  CHECK_FALSE(is_present(range.begin));
}

TEST_CASE("hugetlbfs: filled, protected and scanned by whole huge pages") {
  auto uffd = open_or_skip("hugetlbfs", Userfaultfd::Builder()
                                            .require_features({UffdFeature::missing_hugetlbfs,
                                                               UffdFeature::wp_hugetlbfs_shmem})
                                            .want_features(UffdFeature::minor_hugetlbfs));
  if (!uffd) return;
  const std::size_t huge = HugePageReserve::page_bytes();
  if (huge == 0) return print_skip("hugetlbfs", "this kernel has no hugetlbfs");
  const HugePageReserve reserve(2);
  if (!reserve.enough()) return print_skip("hugetlbfs", "no huge pages to be had (root reserves)");
  const TwiceMapped memory = TwiceMapped::make(2 * huge, MFD_HUGETLB, MAP_HUGETLB);
  if (memory.direct.empty()) return print_skip("hugetlbfs", "mapping huge pages failed");
  Rig rig(std::move(*uffd));

  const auto ioctls = rig.uffd.register_with_mode(
      memory.served, {RegisterMode::missing, RegisterMode::write_protect});
  REQUIRE_MESSAGE(ioctls, ioctls.error().message());
  CHECK(ioctls->has_all({UffdIoctl::copy, UffdIoctl::write_protect}));
  CHECK_FALSE(ioctls->has(UffdIoctl::zeropage));

  const std::vector<char> content(huge, 'h');
  std::atomic<int> seen = -1;
  rig.start([&] { seen = peek(memory.served.begin + page_size()); });
  CHECK(rig.next_fault().address.align_down(huge) == memory.served.begin);
  CHECK(rig.uffd.copy(memory.served.begin, content.data(), page_size()).outcome ==
        UffdOutcome::invalid);
  CHECK(rig.uffd.copy(memory.served.begin, content.data(), huge).ok());
  rig.join();
  CHECK(seen == 'h');

  const Range first{memory.served.begin, huge};
  CHECK(rig.uffd.write_protect(first).ok());
  rig.start([&] { poke(first.end() - 1, 'w'); });
  const PagefaultEvent fault = rig.next_fault();
  CHECK(fault.write_protected);
  CHECK(rig.uffd.remove_write_protection(first).ok());
  rig.join();
  CHECK(peek(memory.direct.begin + huge - 1) == 'w');
  REQUIRE(rig.uffd.unregister(memory.served));

  if (!rig.uffd.features().has(UffdFeature::minor_hugetlbfs)) return;
  REQUIRE(rig.uffd.register_with_mode(memory.served, RegisterMode::minor));
  const Range second{memory.served.begin + huge, huge};
  poke(memory.direct.begin + huge, 'm');
  rig.start([&] { seen = peek(second.begin); });
  CHECK(rig.next_fault().minor);
  CHECK(rig.uffd.continue_range(second).ok());
  rig.join();
  CHECK(seen == 'm');
  REQUIRE(rig.uffd.unregister(memory.served));
}

TEST_CASE("hugetlbfs: a scan that would re-arm a part of a huge page is an error, not a loop") {
  auto uffd =
      open_or_skip("hugetlbfs", Userfaultfd::Builder().require_features(
                                    {UffdFeature::wp_async, UffdFeature::wp_hugetlbfs_shmem}));
  if (!uffd) return;
  const std::size_t huge = HugePageReserve::page_bytes();
  if (huge == 0) return print_skip("hugetlbfs", "this kernel has no hugetlbfs");
  const HugePageReserve reserve(1);
  if (!reserve.enough()) return print_skip("hugetlbfs", "no huge pages to be had (root reserves)");
  const TwiceMapped memory = TwiceMapped::make(huge, MFD_HUGETLB, MAP_HUGETLB);
  if (memory.direct.empty()) return print_skip("hugetlbfs", "mapping huge pages failed");
  poke(memory.served.begin, 'x');
  REQUIRE(uffd->register_with_mode(memory.served, RegisterMode::write_protect));
  auto pagemap = os::Pagemap::open();
  REQUIRE(pagemap);

  os::ScanQuery query;
  query.all_of = query.report = os::PageCategory::written;
  query.rearm = true;
  os::PageRegion buffer[4];
  std::size_t bytes = 0;
  const auto sink = [&](Range run, os::PageCategories) { bytes += run.size; };
  const auto part = pagemap->scan(page_of(memory.served, 0, 3), query, buffer, sink);
  REQUIRE_FALSE(part);
  CHECK(part.error().code == ErrorCode::invalid_argument);
  CHECK(part.error().message().find("hugetlbfs") != std::string::npos);
  CHECK(bytes == 0);

  REQUIRE(pagemap->scan(memory.served, query, buffer, sink));
  CHECK(bytes == huge);
  bytes = 0;
  REQUIRE(pagemap->scan(memory.served, query, buffer, sink));
  CHECK(bytes == 0);
  poke(memory.served.begin + huge / 2, 'y');
  REQUIRE(pagemap->scan(memory.served, query, buffer, sink));
  CHECK(bytes == huge);
  REQUIRE(uffd->unregister(memory.served));
}

}  // namespace
}  // namespace weir
