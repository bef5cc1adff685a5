// fork(2): what the child writes is the child's, its barrier works or reports everything, and the
// parent notices nothing.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::test;
using barrier::Barrier;
using barrier::Then;

namespace {

constexpr std::size_t kPages = 32;

// Runs `body` in a child; its result is the exit status.
template <class Body>
int in_child(Body&& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

PageSet quiet_take(Barrier& barrier, Range range) {  // no doctest in a child
  PageSet pages;
  const auto taken = barrier.take(
      range,
      [&](Range run) {
        for (Address a = run.begin; a < run.end(); a = a + barrier.traits().granularity)
          pages.insert((a - range.begin) / os::page_size());
      },
      Then::rearm);
  return taken ? pages : PageSet{};
}

}  // namespace

TEST_CASE("17: a child's writes do not mark the parent; its own tracking works") {
  for_each_backend([](Barrier& barrier) {
    os::Mapping memory =
        os::Mapping::anonymous(kPages * os::page_size(), os::HugePages::never).value();
    const auto page = [&](std::size_t i) { return memory.as<char>() + i * os::page_size(); };
    for (std::size_t i = 0; i < kPages; ++i) *page(i) = static_cast<char>(i);
    REQUIRE(barrier.attach(memory.range()).has_value());
    REQUIRE(barrier.arm(memory.range()).has_value());
    store(barrier, page(2), 'p');

    const int status = in_child([&] {
      for (std::size_t i = 3; i < kPages; ++i)
        if (*page(i) != static_cast<char>(i)) return 1;
      store(barrier, page(7), 'c');
      const PageSet first = quiet_take(barrier, memory.range());
      if (first.count(2) == 0 || first.count(7) == 0) return 2;
      // From its first take on, as exact as the parent's.
      if (!reports(barrier, quiet_take(barrier, memory.range()), {})) return 3;
      store(barrier, page(9), 'c');
      if (!reports(barrier, quiet_take(barrier, memory.range()), {9})) return 4;
      if (!barrier.disarm(memory.range())) return 5;
      store(barrier, page(10), 'c');
      if (!quiet_take(barrier, memory.range()).empty()) return 6;
      return barrier.detach(memory.range()) ? 0 : 7;
    });
    CHECK(status == 0);
    CHECK(*page(7) == 7);
    CHECK(reports(barrier, take_pages(barrier, memory.range()), {2}));
    store(barrier, page(4), 'p');
    CHECK(reports(barrier, take_pages(barrier, memory.range()), {4}));
    CHECK(barrier.detach(memory.range()).has_value());
  });
}

TEST_CASE("17: forks while other threads write and one takes; a child of a child") {
#if defined(__SANITIZE_ADDRESS__)
  std::printf("skipped: ASan's allocator may be locked in the child of a threaded process\n");
  return;
#endif
  const std::uint64_t seed = seed_for("fork");
  for_each_backend([&](Barrier& barrier) {
    if (barrier.traits().needs_stopped_world) return;
    os::Mapping memory =
        os::Mapping::anonymous(kPages * os::page_size(), os::HugePages::never).value();
    const auto page = [&](std::size_t i) { return memory.as<char>() + i * os::page_size(); };
    for (std::size_t i = 0; i < kPages; ++i) *page(i) = 1;
    REQUIRE(barrier.attach(memory.range()).has_value());
    REQUIRE(barrier.arm(memory.range()).has_value());
    std::atomic<bool> stop{false};
    std::thread writer([&] {
      Random random(seed);
      while (!stop.load()) store(barrier, page(random() % (kPages - 1)) + 64, 'w');
    });
    std::thread taker([&] {
      while (!stop.load()) (void)quiet_take(barrier, memory.range());
    });
    for (std::size_t round = 0; round < scaled(50); ++round) {
      const int status = in_child([&] {
        store(barrier, page(kPages - 1), 'c');
        if (quiet_take(barrier, memory.range()).count(kPages - 1) == 0) return 1;
        store(barrier, page(kPages - 1) + 1, 'c');
        const pid_t grandchild = ::fork();
        if (grandchild == 0) {
          store(barrier, page(1), 'g');
          const PageSet pages = quiet_take(barrier, memory.range());
          ::_exit(pages.count(1) == 1 && pages.count(kPages - 1) == 1 ? 0 : 1);
        }
        int inner = 0;
        ::waitpid(grandchild, &inner, 0);
        return inner == 0 ? 0 : 2;
      });
      REQUIRE(status == 0);
    }
    stop = true;
    writer.join();
    taker.join();
    CHECK(barrier.notes().empty());
    CHECK(barrier.detach(memory.range()).has_value());
  });
}
