#include <fcntl.h>

#include <vector>
#include <weir/memory_fd.hpp>

#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

TEST_CASE("a descriptor is owned: closed once, given up open, moved") {
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    MemoryFd first(raw);
    CHECK(first.get() == raw);
    MemoryFd second(std::move(first));
    CHECK_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move): that is the test
    CHECK(second.get() == raw);
    second = std::move(*&second);
    CHECK(second.get() == raw);
    CHECK(second.release() == raw);
    CHECK_FALSE(second.is_open());
    CHECK(second.release() == -1);
  }
  REQUIRE(is_open(raw));
  { const MemoryFd last(raw); }
  CHECK_FALSE(is_open(raw));
  CHECK_FALSE(MemoryFd(-1).is_open());
  CHECK(MemoryFd().get() == -1);
}

TEST_CASE("a forked child has no descriptor that acts on its parent, unless it was asked for") {
  auto uffd = open_or_skip("fork policy", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_range(range));
  auto kept = Userfaultfd::Builder().fork_policy(UffdForkPolicy::keep).create();
  REQUIRE(kept);
  const Range kept_range = rig.map(2);
  REQUIRE(kept->register_range(kept_range));
  const int fd = rig.uffd.fd();

  const ChildResult result = in_child([&](auto) {
    if (rig.uffd.is_open() || ::fcntl(fd, F_GETFD) != -1) return 2;
    if (rig.uffd.zeropage(page_of(range, 0)).outcome != UffdOutcome::closed) return 3;
    if (rig.uffd.register_range(range).error().code != ErrorCode::closed) return 4;
    if (!kept->is_open()) return 5;
    // This fills a page of the parent.
    if (!kept->copy(kept_range.begin, page_filled_with('k').data(), page_size()).ok()) return 6;
    // The child can have a descriptor of its own.
    auto own = Userfaultfd::Builder().create();
    if (!own || !own->register_range(range)) return 7;
    return own->zeropage(range).ok() ? 0 : 8;
  });
  CHECK(result.exit_code == 0);
  CHECK(is_present(kept_range.begin));
  CHECK(peek(kept_range.begin) == 'k');
  CHECK(rig.uffd.is_open());
  CHECK_FALSE(is_present(range.begin));
  CHECK(rig.uffd.zeropage(range).ok());
}

TEST_CASE("the child's descriptors are closed however many there are, and wherever they moved") {
  std::vector<MemoryFd> all;
  for (int i = 0; i < 200; ++i) all.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 200; i += 3) all[static_cast<std::size_t>(i)] = MemoryFd();
  const ChildResult result = in_child([&](auto) {
    int open = 0;
    for (const MemoryFd& fd : all) open += fd.is_open();
    return open;
  });
  CHECK(result.exit_code == 0);
  int open = 0;
  for (const MemoryFd& fd : all) open += ::fcntl(fd.get(), F_GETFD) >= 0;
  CHECK(open == 133);
}

}  // namespace
}  // namespace weir
