// How serving a range begins and ends: what is refused, who fills the rest, and who may be in the
// middle of what.
#include <sys/mman.h>

#include <thread>

#include "tests/faults/rig.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

TEST_CASE("release fills what is missing, abandon does not, the end of the server does") {
  const std::uint64_t seed = seed_for("release: what is missing");
  for (const Delivery delivery : kDeliveries) {
    auto server = start_or_skip("release: what is missing", delivery);
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
  const std::uint64_t seed = seed_for("release: touched while released");
  for_each_delivery("release: touched while released", [&](FaultServer& server) {
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

TEST_CASE("a release waits for events without being in their way") {
  FaultServer::Options options;
  options.required = {UffdFeature::event_remove, UffdFeature::event_unmap,
                      UffdFeature::event_remap};
  OracleSource other(1, 2);  // released by events, so it outlives the server
  auto server = start_or_skip("release: events", Delivery::thread, options);
  if (server == nullptr) return;
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> changers;
    for (int t = 0; t < 2; ++t) {
      changers.emplace_back([&] {
        // Mapped over, never unmapped: else another thread could have the address before the event.
        const auto reserved = *os::Mapping::anonymous(3 * page_size());
        const Range range = page_of(reserved.range(), 0, 2);
        const Address place = page_of(reserved.range(), 2).begin;
        const auto map_over = [](Range what) {
          return ::mmap(what.begin.as(), what.size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
        };
        while (!stop.load()) {  // an event of each kind
          if (!map_over(range) || !server->serve_missing(range, other)) failed.fetch_add(1);
          // The second page moves, and ends there.
          void* moved = ::mremap(page_of(range, 1).begin.as(), page_size(), page_size(),
                                 MREMAP_MAYMOVE | MREMAP_FIXED, place.as());
          if (moved == MAP_FAILED || !other.matches(Address(moved), 1)) failed.fetch_add(1);
          if (!map_over({place, page_size()}) || !map_over(range)) failed.fetch_add(1);
        }
      });
    }
    for (std::size_t i = 0; i < scaled(100); ++i) {
      auto memory = *os::Mapping::anonymous(64 * page_size(), os::HugePages::never);
      OracleSource source(i, 64);
      if (!server->serve_missing(memory.range(), source)) failed.fetch_add(1);
      if (!server->release(memory.range())) failed.fetch_add(1);
      for (std::size_t p = 0; p < 64; ++p)
        if (!source.matches(page_of(memory.range(), p).begin, p)) failed.fetch_add(1);
    }
    stop = true;
  }
  CHECK(failed.load() == 0);
}

TEST_CASE("two release one range: one does, one is told") {
  for (const Delivery delivery : kDeliveries) {
    auto server = start_or_skip("release: two at once", delivery);
    if (server == nullptr) continue;
    for (std::size_t i = 0; i < scaled(100); ++i) {
      auto memory = *os::Mapping::anonymous(8 * page_size(), os::HugePages::never);
      OracleSource source(i, 8);
      REQUIRE(server->serve_missing(memory.range(), source));
      std::atomic<int> done{0}, told{0};
      const auto let_go = [&] {
        const auto released = server->release(memory.range());
        if (released)
          done.fetch_add(1);
        else if (released.error().code == ErrorCode::not_registered)
          told.fetch_add(1);
      };
      { std::jthread a(let_go), b(let_go); }
      REQUIRE(done.load() == 1);
      REQUIRE(told.load() == 1);
    }
  }
}

TEST_CASE("refused: twice, overlapping, misaligned, not registered; nothing changes by it") {
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
  for_each_delivery(
      "release: refused",
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
        auto second = start_or_skip("release: refused", server.delivery(), options);
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
