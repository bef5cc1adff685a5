// Registration and ownership. Opening, filling, write protection, events, hugetlbfs have files of
// their own.
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/os/rig.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

TEST_CASE("registering returns what can be done with the memory") {
  auto uffd = open_or_skip("registering", Userfaultfd::Builder());
  if (!uffd) return;
  const UffdFeatures available = Userfaultfd::available_features().value();
  Rig rig(std::move(*uffd));

  const auto missing = rig.uffd.register_range(rig.map(2));
  REQUIRE(missing);
  CHECK(missing->has_all({UffdIoctl::copy, UffdIoctl::zeropage, UffdIoctl::wake}));
  CHECK_FALSE(missing->has(UffdIoctl::write_protect));
  CHECK_FALSE(missing->has(UffdIoctl::continue_range));
  CHECK(missing->has(UffdIoctl::poison) == available.has(UffdFeature::poison));
  CHECK(missing->has(UffdIoctl::move) == available.has(UffdFeature::move));

  if (!available.has(UffdFeature::pagefault_flag_wp)) return;
  const auto both =
      rig.uffd.register_with_mode(rig.map(2), {RegisterMode::missing, RegisterMode::write_protect});
  REQUIRE(both);
  CHECK(both->has(UffdIoctl::write_protect));
  if (available == UffdFeatures::from_bits(0x1ffff)) CHECK(both->bits() == 0x17c);  // Linux 6.8 on
}

TEST_CASE("what cannot be registered is refused with a reason, and stays as it was") {
  auto uffd = open_or_skip("refusals", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  auto second = Userfaultfd::Builder().create();
  REQUIRE(second);
  const Range range = rig.map(4);
  const auto is_free = [&](Range part) {  // else the second descriptor would find it busy
    const bool free = second->register_range(part).has_value();
    if (free) REQUIRE(second->unregister(part));
    return free;
  };

  for (Range odd : {Range{range.begin + 1, page_size()}, Range{range.begin, page_size() + 1},
                    Range{range.begin, 0}, Range{range.begin, 100}}) {
    const auto refused = rig.uffd.register_range(odd);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::misaligned);
    CHECK(refused.error().message().find("whole pages") != std::string::npos);
  }
  CHECK(is_free(range));

  // Nothing there; something missing in the middle.
  REQUIRE(::munmap(page_of(range, 2).begin.as(), page_size()) == 0);
  CHECK(rig.uffd.register_range(page_of(range, 2)).error().code == ErrorCode::not_registered);
  CHECK(rig.uffd.register_range(range).error().code == ErrorCode::not_registered);
  CHECK(is_free(page_of(range, 0, 2)));
  CHECK(is_free(page_of(range, 3)));

  // Somebody else's.
  REQUIRE(rig.uffd.register_range(page_of(range, 0)));
  const auto busy = second->register_range(page_of(range, 0, 2));
  REQUIRE_FALSE(busy);
  CHECK(busy.error().code == ErrorCode::busy);
  CHECK(busy.error().message().find("another userfaultfd has it") != std::string::npos);
  CHECK(is_free(page_of(range, 1)));

  // No mode at all.
  CHECK(rig.uffd.register_with_mode(page_of(range, 1), {}).error().code ==
        ErrorCode::invalid_argument);
}

TEST_CASE("memory that cannot have a mode is refused as unsupported") {
  auto uffd = open_or_skip("file mapping", Userfaultfd::Builder());
  if (!uffd) return;
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  void* memory = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  ::close(file);
  REQUIRE(memory != MAP_FAILED);
  const Range range = Range::of(memory, page_size());
  const auto refused = uffd->register_range(range);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().sys_errno == EINVAL);

  // Asynchronous write tracking alone can have it.
  if (Userfaultfd::available_features().value().has(UffdFeature::wp_async)) {
    auto async = Userfaultfd::Builder().require_features(UffdFeature::wp_async).create();
    REQUIRE(async);
    CHECK(async->register_with_mode(range, RegisterMode::write_protect).has_value());
  }
  ::munmap(memory, page_size());
}

TEST_CASE("unregistering") {
  auto uffd = open_or_skip("unregistering", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_range(range));
  CHECK(rig.uffd.unregister(Range{range.begin, 1}).error().code == ErrorCode::misaligned);
  CHECK(rig.uffd.copy(range.begin, page_filled_with('a').data(), page_size()).ok());
  REQUIRE(rig.uffd.unregister(range));
  CHECK(rig.uffd.zeropage(page_of(range, 1)).outcome == UffdOutcome::not_found);
  CHECK(peek(page_of(range, 1).begin) == 0);  // would hang if it were registered
  CHECK(peek(range.begin) == 'a');
  ::munmap(range.begin.as(), range.size);
  CHECK(rig.uffd.unregister(range).error().code == ErrorCode::not_registered);
}

TEST_CASE("release gives the descriptor up, open, and from_raw_fd takes it back") {
  auto uffd = open_or_skip("release", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_range(range));

  const int fd = rig.uffd.release();
  REQUIRE(fd >= 0);
  CHECK(::fcntl(fd, F_GETFD) >= 0);
  CHECK_FALSE(rig.uffd.is_open());
  CHECK(rig.uffd.release() == -1);
  CHECK(rig.uffd.zeropage(page_of(range, 0)).outcome == UffdOutcome::closed);

  rig.uffd = Userfaultfd::from_raw_fd(fd, UffdFeature::thread_id);
  CHECK(rig.uffd.fd() == fd);
  CHECK(rig.uffd.open_path() == UffdOpenPath::adopted);
  CHECK(rig.uffd.features() == UffdFeatures(UffdFeature::thread_id));
  CHECK(rig.uffd.zeropage(page_of(range, 0)).ok());
}

TEST_CASE("every operation on an empty or a foreign descriptor says that it is closed") {
  Rig rig{Userfaultfd()};
  const Range range = rig.map(1);
  const auto check_all = [&](Userfaultfd& uffd) {
    CHECK(uffd.register_range(range).error().code == ErrorCode::closed);
    CHECK(uffd.unregister(range).error().code == ErrorCode::closed);
    CHECK(uffd.copy(range.begin, range.begin.as(), range.size).outcome == UffdOutcome::closed);
    CHECK(uffd.zeropage(range).outcome == UffdOutcome::closed);
    CHECK(uffd.continue_range(range).outcome == UffdOutcome::closed);
    CHECK(uffd.poison(range).outcome == UffdOutcome::closed);
    CHECK(uffd.move(range.begin, range.begin, range.size).outcome == UffdOutcome::closed);
    CHECK(uffd.write_protect(range).outcome == UffdOutcome::closed);
    CHECK(uffd.remove_write_protection(range).outcome == UffdOutcome::closed);
    CHECK(uffd.wake(range).outcome == UffdOutcome::closed);
    CHECK(uffd.info().error().code == ErrorCode::closed);
  };
  check_all(rig.uffd);
  CHECK(rig.uffd.read_event().error().code == ErrorCode::closed);
  Userfaultfd foreign = Userfaultfd::from_raw_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  REQUIRE(foreign.is_open());
  check_all(foreign);
}

TEST_CASE("moving moves the descriptor, assigning closes the old one") {
  auto first = open_or_skip("moving", Userfaultfd::Builder());
  if (!first) return;
  auto second = Userfaultfd::Builder().create();
  REQUIRE(second);
  const int kept = first->fd();
  const int dropped = second->fd();
  Userfaultfd moved = std::move(*first);
  CHECK(moved.fd() == kept);
  CHECK_FALSE(first->is_open());
  *second = std::move(moved);
  CHECK(second->fd() == kept);
  CHECK(::fcntl(dropped, F_GETFD) == -1);
  CHECK(::fcntl(kept, F_GETFD) >= 0);
}

}  // namespace
}  // namespace weir
