// fork(2) of a process with pages still to be filled: parent and child both read the right bytes,
// each by its own descriptor, and neither by the other's.
#include <dirent.h>
#include <sys/mman.h>

#include <thread>

#include "tests/faults/rig.hpp"
#include "tests/os/child.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  REQUIRE(directory != nullptr);
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

TEST_CASE("child and parent fill the rest each for himself") {
  const std::uint64_t seed = seed_for("fork: child and parent");
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    FaultServer::Options options;
    options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
    auto server = start_or_skip("fork: child and parent", delivery, options);
    if (server == nullptr) continue;
    const std::size_t pages = 60;
    auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
    const Range range = memory.range();
    OracleSource source(seed, pages, 3);
    Watcher watcher(range);
    watcher.server = server.get();
    REQUIRE(server->serve_missing(range, source));
    REQUIRE(server->watch_writes(range, watcher));
    for (std::size_t i = 0; i < 30; i += 5) poke(page_of(range, i).begin, 'p');
    watcher.arm(0, 20);
    const std::size_t descriptors = open_descriptors();
    const auto wrong_pages = [&](char mine) {
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < pages; ++i) {
        const Address page = page_of(range, i).begin;
        if (i % 2 == 0) poke(page + 1, mine);
        const bool by_parent = i < 30 && i % 5 == 0;
        if (by_parent != (peek(page) == 'p') && static_cast<char>(source.page(i)[0]) != 'p')
          ++wrong;
        if (i % 2 == 0 && peek(page + 1) != mine) ++wrong;
        if (std::memcmp((page + 2).as(), source.page(i) + 2, page_size() - 2) != 0) ++wrong;
      }
      return wrong;
    };
    for (int generation = 0; generation < 2; ++generation) {
      const auto child = in_child([&](auto say) {
        if (watcher.losses.load() != 1) return say("not told"), 1;
        if (!server->is_alive()) return say("no descriptor"), 2;
        // The directory's own descriptor and the pipe of in_child are beside it.
        if (open_descriptors() > descriptors + 2) return say("descriptors"), 3;
        // Its own thread is up: one that starts may hold a lock of a sanitizer's, and a fork takes
        // that along locked.
        (void)peek(page_of(range, pages - 1).begin);
        const auto grandchild = in_child([&](auto) { return wrong_pages('g') == 0 ? 0 : 1; });
        if (grandchild.exit_code != 0) return say("grandchild " + grandchild.text), 4;
        if (wrong_pages('c') != 0) return say("pages"), 5;
        watcher.arm(0, 10);
        poke(page_of(range, 3).begin, 'x');
        if (!watcher.is_dirty(3) || watcher.is_dirty(4)) return say("watching"), 6;
        if (!server->release(range)) return say("release"), 7;
        return 0;
      });
      CHECK_MESSAGE(child.exit_code == 0, child.text);
    }
    CHECK(watcher.losses.load() == 0);
    CHECK(server->is_alive());
    CHECK(wrong_pages('m') == 0);
    CHECK(open_descriptors() == descriptors);
    REQUIRE(server->release(range));
  }
}

TEST_CASE("forks while threads fault, many times") {
#if defined(__SANITIZE_ADDRESS__)
  std::printf("skipped: ASan's allocator may be locked in the child of a threaded process\n");
  return;
#endif
  const std::uint64_t seed = seed_for("fork: while threads fault");
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    auto server = start_or_skip("fork: while threads fault", delivery);
    if (server == nullptr) continue;
    std::vector<os::Mapping> keep;
    const std::size_t pages = 256;
    std::size_t descriptors = 0;
    for (std::size_t round = 0; round < scaled(60); ++round) {
      auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
      OracleSource source(seed + round, pages, 2);
      REQUIRE(server->serve_missing(memory.range(), source));
      if (round == 0) descriptors = open_descriptors();
      std::atomic<std::size_t> wrong{0};
      {
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < 3; ++t)
          threads.emplace_back([&, t] {
            Random random(seed + t);
            for (std::size_t i = 0; i < pages; ++i) {
              const std::size_t page = random() % pages;
              if (!source.matches(page_of(memory.range(), page).begin, page)) wrong.fetch_add(1);
            }
          });
        const auto child = in_child([&](auto) {
          for (std::size_t i = 0; i < pages; ++i)
            if (!source.matches(page_of(memory.range(), i).begin, i)) return 1;
          return 0;
        });
        CHECK_MESSAGE(child.exit_code == 0, child.text);
      }
      REQUIRE(wrong.load() == 0);
      REQUIRE(server->release(memory.range()));
    }
    CHECK(open_descriptors() == descriptors);
  }
}

}  // namespace
}  // namespace weir
