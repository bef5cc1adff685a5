// Missing pages, by both deliveries: what is read is what the source has.
#include <sys/mman.h>

#include <barrier>
#include <thread>

#include "tests/faults/rig.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

TEST_CASE("read, write, part of a page, from many threads: every byte is the oracle's") {
  const std::uint64_t seed = seed_for("missing: every byte");
  for_each_delivery("missing: every byte", [&](FaultServer& server) {
    for (const std::size_t cluster : {std::size_t{1}, std::size_t{4}, std::size_t{16}}) {
      CAPTURE(cluster);
      const std::size_t pages = scaled(256) + 3;  // the last cluster is cut off
      auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
      const Range range = memory.range();
      OracleSource source(seed, pages, cluster);
      REQUIRE(server.serve_missing(range, source));

      constexpr unsigned kThreads = 4;
      // Each thread owns the byte of its number in each page, and reads the others' neighbours.
      std::atomic<std::size_t> wrong{0};
      std::vector<std::vector<char>> written(kThreads, std::vector<char>(pages));
      {
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < kThreads; ++t) {
          threads.emplace_back([&, t] {
            Random random(seed + t);
            for (std::size_t i = 0; i < pages * 4; ++i) {
              const std::size_t page = random() % pages;
              const Address start = page_of(range, page).begin;
              if (random() % 2 == 0) {
                poke(start + t, static_cast<char>(i | 1));
                written[t][page] = static_cast<char>(i | 1);
              } else {
                const std::size_t at = kThreads + random() % (page_size() - kThreads);
                if (peek(start + at) != static_cast<char>(source.page(page)[at]))
                  wrong.fetch_add(1);
              }
            }
          });
        }
      }
      CHECK(wrong.load() == 0);
      for (std::size_t page = 0; page < pages; ++page) {
        std::vector<char> expected(page_size());
        std::memcpy(expected.data(), source.page(page), page_size());
        for (unsigned t = 0; t < kThreads; ++t)
          if (written[t][page] != 0) expected[t] = written[t][page];
        REQUIRE(std::memcmp(expected.data(), page_of(range, page).begin.as(), page_size()) == 0);
      }
      REQUIRE(server.release(range));
    }
  });
}

TEST_CASE("all threads at once on one page") {
  const std::uint64_t seed = seed_for("missing: one page");
  for_each_delivery("missing: one page", [&](FaultServer& server) {
    const std::size_t pages = scaled(500);
    auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
    OracleSource source(seed, pages);
    REQUIRE(server.serve_missing(memory.range(), source));
    std::barrier<> together(4);
    std::atomic<std::size_t> wrong{0};
    {
      std::vector<std::jthread> threads;
      for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          for (std::size_t i = 0; i < pages; ++i) {
            together.arrive_and_wait();
            const Address page = page_of(memory.range(), i).begin;
            if (t % 2 == 0) poke(page + t, 'x');
            if (std::memcmp((page + 8).as(), source.page(i) + 8, page_size() - 8) != 0)
              wrong.fetch_add(1);
          }
        });
      }
    }
    CHECK(wrong.load() == 0);
    REQUIRE(server.release(memory.range()));
  });
}

TEST_CASE("only what is touched is filled: 0, 1, 10, 100 percent of the pages") {
  const std::uint64_t seed = seed_for("missing: sparse");
  for_each_delivery("missing: sparse", [&](FaultServer& server) {
    for (const unsigned percent : {0u, 1u, 10u, 100u}) {
      const std::size_t pages = 400;
      auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
      OracleSource source(seed, pages);
      REQUIRE(server.serve_missing(memory.range(), source));
      std::size_t touched = 0;
      for (std::size_t i = 0; i < pages; ++i) {
        if (i % 100 >= percent) continue;
        ++touched;
        CHECK(source.matches(page_of(memory.range(), i).begin, i));
      }
      CHECK(source.fills.load() == touched);
      for (std::size_t i = 0; i < pages; ++i)
        REQUIRE(is_present(page_of(memory.range(), i).begin) == (i % 100 < percent));
      REQUIRE(server.release(memory.range(), FaultServer::Unfilled::abandon));
    }
  });
}

TEST_CASE("a cluster goes around pages that are there, and over a split mapping") {
  const std::uint64_t seed = seed_for("missing: around");
  for_each_delivery("missing: around", [&](FaultServer& server) {
    auto memory = *os::Mapping::anonymous(16 * page_size(), os::HugePages::never);
    const Range range = memory.range();
    OracleSource source(seed, 16, 16);
    // Present before it was registered: the middle, and the last.
    poke(page_of(range, 7).begin, 'm');
    poke(page_of(range, 15).begin, 'l');
    REQUIRE(server.serve_missing(range, source));
    // Two more mappings: the kernel fills one a call. One page is gone.
    REQUIRE(::mprotect(page_of(range, 4, 2).begin.as(), 2 * page_size(), PROT_READ) == 0);
    REQUIRE(::munmap(page_of(range, 10).begin.as(), page_size()) == 0);
    for (const std::size_t i : {0, 1, 4, 5, 6, 8, 9, 11, 14})
      CHECK(source.matches(page_of(range, i).begin, i));
    CHECK(peek(page_of(range, 7).begin) == 'm');
    CHECK(peek(page_of(range, 7).begin + 1) == 0);
    CHECK(peek(page_of(range, 15).begin) == 'l');
    CHECK(source.fills.load() == 1);
    // The hole: so that nothing else is mapped there and unmapped by our destructor.
    REQUIRE(::mmap(page_of(range, 10).begin.as(), page_size(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    REQUIRE(server.release(range, FaultServer::Unfilled::abandon));
  });
}

TEST_CASE("removed pages read as zeros") {
  for_each_delivery("missing: removed", [&](FaultServer& server) {
    auto memory = *os::Mapping::anonymous(8 * page_size(), os::HugePages::never);
    OracleSource source(1, 8, 4);
    REQUIRE(server.serve_missing(memory.range(), source));
    CHECK(source.matches(page_of(memory.range(), 2).begin, 2));
    source.removed(2 * page_size(), page_size());  // told by the program itself
    REQUIRE(::madvise(page_of(memory.range(), 2).begin.as(), page_size(), MADV_DONTNEED) == 0);
    const std::vector<char> zeros(page_size());
    CHECK(std::memcmp(page_of(memory.range(), 2).begin.as(), zeros.data(), page_size()) == 0);
    for (const std::size_t i : {0, 1, 3, 4})
      CHECK(source.matches(page_of(memory.range(), i).begin, i));
    REQUIRE(server.release(memory.range()));
  });
}

TEST_CASE("missing and watched, in either order: one fault each, and every write recorded") {
  const std::uint64_t seed = seed_for("missing: watched");
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
  for_each_delivery(
      "missing: watched",
      [&](FaultServer& server) {
        for (const bool watched_first : {true, false}) {
          CAPTURE(watched_first);
          const std::size_t pages = 64;
          auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
          const Range range = memory.range();
          OracleSource source(seed, pages, 4);
          Watcher watcher(range);
          watcher.server = &server;
          if (watched_first) REQUIRE(server.watch_writes(range, watcher));
          REQUIRE(server.serve_missing(range, source));
          if (!watched_first) REQUIRE(server.watch_writes(range, watcher));
          watcher.arm(0, pages);
          Random random(seed);
          std::vector<bool> written(pages);
          for (std::size_t i = 0; i < 200; ++i) {
            const std::size_t page = random() % pages;
            const Address start = page_of(range, page).begin;
            if (random() % 2 == 0) {
              poke(start, 'w');
              written[page] = true;
              REQUIRE(watcher.is_dirty(page));
            } else {
              REQUIRE(peek(start + 9) == static_cast<char>(source.page(page)[9]));
            }
          }
          for (std::size_t page = 0; page < pages; ++page)
            CHECK(watcher.is_dirty(page) == written[page]);  // here even exactly
          CHECK(server.release(range));
          for (std::size_t page = 0; page < pages; ++page) {
            const Address start = page_of(range, page).begin;
            CHECK(peek(start + 1) == static_cast<char>(source.page(page)[1]));
            poke(start, 'z');  // nothing is left protected
          }
        }
      },
      options);
}

}  // namespace
}  // namespace weir
