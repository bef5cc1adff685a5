// Missing pages, by both deliveries: what is read is what the source has, and each way in which a
// source or a caller can fail has its own clear end.
#include <sys/mman.h>

#include <barrier>
#include <thread>

#include "tests/faults/rig.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

template <class Body>
void for_each_delivery(const char* test, Body body, FaultServer::Options options = {}) {
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    if (auto server = start_or_skip(test, delivery, options)) body(*server);
  }
}

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

bool is_poisoned(Address page) {
  return HostSigbus::is_raised_by_reading(page);
}

bool can_poison(const char* test) {
  auto features = Userfaultfd::available_features();
  if (features && features->has(UffdFeature::poison)) return true;
  print_skip(test, "this kernel cannot poison (Linux 6.6)");
  return false;
}

TEST_CASE("a failing source: its toucher gets SIGBUS, everybody else his page") {
  if (!can_poison("missing: a failing source")) return;
  const std::uint64_t seed = seed_for("missing: a failing source");
  FaultServer::Options options;
  options.required = UffdFeature::poison;
  for_each_delivery(
      "missing: a failing source",
      [&](FaultServer& server) {
        for (const bool itself : {false, true}) {
          CAPTURE(itself);
          auto memory = *os::Mapping::anonymous(64 * page_size(), os::HugePages::never);
          OracleSource source(seed, 64, itself ? 4 : 1);
          source.poisons_itself = itself;
          for (std::size_t i = 5; i < 64; i += 10) source.damage(i);
          REQUIRE(server.serve_missing(memory.range(), source));
          for (std::size_t i = 0; i < 64; ++i) {
            const Address page = page_of(memory.range(), i).begin;
            const bool damaged = i % 10 == 5;
            if (i % 3 == 0 && damaged) continue;  // met by release() first
            REQUIRE(is_poisoned(page) == damaged);
            REQUIRE(is_poisoned(page) == damaged);  // and stays so
            if (!damaged) REQUIRE(source.matches(page, i));
          }
          REQUIRE(server.release(memory.range()));
          for (std::size_t i = 5; i < 64; i += 10)  // never zeros instead of what is lost
            CHECK(is_poisoned(page_of(memory.range(), i).begin));
        }
      },
      options);
}

TEST_CASE("poison: an armed hole takes it, an armed page that is there keeps its record") {
  if (!can_poison("missing: poison")) return;
  // A source that poisons a whole cluster, of which one page is there.
  struct Poisoner final : faults::PageSource {
    UffdOutcome fill(std::size_t, faults::PageFiller& filler) noexcept override {
      return filler.poison(0, 4 * page_size());
    }
    bool is_filled(std::size_t offset) const noexcept override { return offset == page_size(); }
    void removed(std::size_t, std::size_t) noexcept override {}
  };
  FaultServer::Options options;
  options.required = {UffdFeature::poison, UffdFeature::pagefault_flag_wp,
                      UffdFeature::wp_unpopulated};
  for_each_delivery(
      "missing: poison",
      [&](FaultServer& server) {
        auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
        poke(page_of(memory.range(), 1).begin, 'p');
        Poisoner source;
        Watcher watcher(memory.range());
        watcher.server = &server;
        REQUIRE(server.watch_writes(memory.range(), watcher));
        REQUIRE(server.serve_missing(memory.range(), source));
        watcher.arm(0, 4);
        for (const std::size_t i : {0, 2, 3}) CHECK(is_poisoned(page_of(memory.range(), i).begin));
        const Address there = page_of(memory.range(), 1).begin;
        CHECK(peek(there) == 'p');
        poke(there, 'q');  // armed still, or recorded already: never neither
        CHECK(watcher.is_dirty(1));
        CHECK(server.release(memory.range(), FaultServer::Unfilled::abandon));
      },
      options);
}

TEST_CASE("release fills what is missing, abandon does not, the end of the server does") {
  const std::uint64_t seed = seed_for("missing: release");
  for (const Delivery delivery : kDeliveries) {
    auto server = start_or_skip("missing: release", delivery);
    if (server == nullptr) continue;
    for (const std::size_t cluster : {std::size_t{1}, std::size_t{16}}) {
      auto memory = *os::Mapping::anonymous(100 * page_size(), os::HugePages::never);
      OracleSource source(seed, 100, cluster);
      REQUIRE(server->serve_missing(memory.range(), source));
      poke(page_of(memory.range(), 50).begin, 'w');
      REQUIRE(server->release(memory.range()));
      // No cluster twice, but the one whose toucher goes on before the source has noted it.
      CHECK(source.fills.load() <= (100 + cluster - 1) / cluster + 1);
      for (std::size_t i = 0; i < 100; ++i)
        if (i != 50) REQUIRE(source.matches(page_of(memory.range(), i).begin, i));
      CHECK(peek(page_of(memory.range(), 50).begin) == 'w');
    }
    {
      auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
      OracleSource source(seed, 4);
      REQUIRE(server->serve_missing(memory.range(), source));
      CHECK(source.matches(page_of(memory.range(), 1).begin, 1));
      REQUIRE(server->release(memory.range(), FaultServer::Unfilled::abandon));
      CHECK(source.matches(page_of(memory.range(), 1).begin, 1));
      CHECK(peek(page_of(memory.range(), 2).begin) == 0);
      CHECK(source.fills.load() == 1);
    }
    auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
    OracleSource source(seed, 4);
    REQUIRE(server->serve_missing(memory.range(), source));
    server.reset();
    for (std::size_t i = 0; i < 4; ++i) CHECK(source.matches(page_of(memory.range(), i).begin, i));
  }
}

TEST_CASE("touched while it is released: the oracle's bytes all the same") {
  const std::uint64_t seed = seed_for("missing: touched while released");
  for_each_delivery("missing: touched while released", [&](FaultServer& server) {
    for (std::size_t round = 0; round < scaled(100); ++round) {
      auto memory = *os::Mapping::anonymous(16 * page_size(), os::HugePages::never);
      OracleSource source(seed, 16, 2);
      REQUIRE(server.serve_missing(memory.range(), source));
      std::atomic<int> wrong{0};
      {
        std::jthread toucher([&] {
          for (std::size_t i = 16; i-- > 0;)
            if (!source.matches(page_of(memory.range(), i).begin, i)) wrong.fetch_add(1);
        });
        REQUIRE(server.release(memory.range()));
      }
      REQUIRE(wrong.load() == 0);
    }
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

TEST_CASE("refused: twice, overlapping, misaligned, not registered; nothing changes by it") {
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
  for_each_delivery(
      "missing: refused",
      [&](FaultServer& server) {
        auto memory = *os::Mapping::anonymous(8 * page_size(), os::HugePages::never);
        const Range range = page_of(memory.range(), 0, 4);
        OracleSource source(3, 4), other(4, 8);
        Watcher watcher(range);
        watcher.server = &server;
        const auto code = [](const Expected<>& result) {
          REQUIRE(!result);
          return result.error().code;
        };
        REQUIRE(server.serve_missing(range, source));
        CHECK(code(server.serve_missing(range, other)) == ErrorCode::busy);
        CHECK(code(server.serve_missing(page_of(memory.range(), 2, 4), other)) == ErrorCode::busy);
        CHECK(code(server.serve_missing(page_of(memory.range(), 1, 1), other)) == ErrorCode::busy);
        CHECK(code(server.watch_writes(page_of(memory.range(), 3, 2), watcher)) == ErrorCode::busy);
        REQUIRE(server.watch_writes(range, watcher));
        CHECK(code(server.watch_writes(range, watcher)) == ErrorCode::busy);
        const Range crooked{range.begin + 8, page_size()};
        const Range short_one{page_of(memory.range(), 6).begin, page_size() - 1};
        const Range nothing{page_of(memory.range(), 6).begin, 0};
        for (const Range bad : {crooked, short_one, nothing}) {
          CHECK(code(server.serve_missing(bad, other)) == ErrorCode::misaligned);
          CHECK(code(server.watch_writes(bad, watcher)) == ErrorCode::misaligned);
          CHECK(code(server.release(bad)) == ErrorCode::not_registered);
        }
        CHECK(code(server.release(page_of(memory.range(), 0, 2))) == ErrorCode::not_registered);
        CHECK(code(server.release(page_of(memory.range(), 6))) == ErrorCode::not_registered);
        {
          auto gone = *os::Mapping::anonymous(page_size());
          const Range where = gone.range();
          gone = os::Mapping();
          CHECK(!server.serve_missing(where, other));
        }
        auto second = start_or_skip("missing: refused", server.delivery(), options);
        CHECK(code(second->serve_missing(range, other)) == ErrorCode::busy);
        second.reset();

        // All as it was: served by the first source, watched, and the rest is free.
        for (std::size_t i = 0; i < 4; ++i) CHECK(source.matches(page_of(range, i).begin, i));
        watcher.arm(0, 4);
        poke(range.begin, 'w');
        CHECK(watcher.is_dirty(0));
        CHECK(other.fills.load() == 0);
        REQUIRE(server.serve_missing(page_of(memory.range(), 4, 4), other));
        CHECK(other.matches(page_of(memory.range(), 6).begin, 2));
        CHECK(server.release(page_of(memory.range(), 4, 4)));
        CHECK(server.release(range));
        REQUIRE(server.serve_missing(range, other));  // and can be had again
        CHECK(server.release(range, FaultServer::Unfilled::abandon));
      },
      options);
}

TEST_CASE("a server that cannot exist is refused with a sentence") {
  FaultServer::Options options;
  options.wanted = UffdFeature::event_fork;
  CHECK(FaultServer::start(options).error().code == ErrorCode::invalid_argument);
  options.delivery = Delivery::sigbus;
  for (const UffdFeature event :
       {UffdFeature::event_remove, UffdFeature::event_remap, UffdFeature::event_unmap}) {
    options.wanted = event;  // nobody would read it, and madvise(2) would never return
    CHECK(FaultServer::start(options).error().code == ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace weir
