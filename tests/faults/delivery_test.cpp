// How faults get to their answer and back: many threads and servers, races with other fillers, an
// address space that changes meanwhile.
#include <sys/mman.h>

#include <barrier>
#include <thread>

#include "tests/faults/rig.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

TEST_CASE("many servers, each with many threads") {
  const std::uint64_t seed = seed_for("delivery: many servers");
  struct One {
    os::Mapping memory;
    std::unique_ptr<OracleSource> source;
    std::unique_ptr<FaultServer> server;  // goes first, and fills the rest
  };
  const std::size_t pages = scaled(200);
  std::vector<One> all;
  for (int i = 0; i < 6; ++i) {
    auto server = start_or_skip("delivery: many servers", kDeliveries[i % 2]);
    if (server == nullptr) return;
    all.push_back({*os::Mapping::anonymous(pages * page_size(), os::HugePages::never),
                   std::make_unique<OracleSource>(seed + i, pages), std::move(server)});
    REQUIRE(all.back().server->serve_missing(all.back().memory.range(), *all.back().source));
  }
  std::atomic<std::size_t> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        Random random(seed + t);
        for (std::size_t i = 0; i < pages * 8; ++i) {
          const One& one = all[random() % all.size()];
          const std::size_t page = random() % pages;
          if (!one.source->matches(page_of(one.memory.range(), page).begin, page))
            wrong.fetch_add(1);
        }
      });
    }
  }
  CHECK(wrong.load() == 0);
}

TEST_CASE("a prefetcher and two touchers race for each page: nobody is left asleep") {
  auto uffd = open_or_skip("delivery: prefetcher", Userfaultfd::Builder());
  if (!uffd) return;
  const std::size_t pages = 64, rounds = scaled(1'000);
  auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
  const Range range = memory.range();
  OracleSource source(seed_for("delivery: prefetcher"), pages);
  faults::FaultSpace space;
  space.own(std::move(*uffd));
  REQUIRE(space.descriptor().register_range(range));
  space.table = faults::FaultSpace::Table().with(range, {&source, range.begin, nullptr});
  auto thread = faults::HandlerThread::start(space);
  REQUIRE(thread);
  std::atomic<std::size_t> wrong{0};
  std::barrier<> together(3);
  const auto touch = [&] {
    for (std::size_t i = 0; i < rounds; ++i) {
      together.arrive_and_wait();
      if (!source.matches(page_of(range, i % pages).begin, i % pages)) wrong.fetch_add(1);
      together.arrive_and_wait();
    }
  };
  {
    std::jthread a(touch), b(touch);
    for (std::size_t i = 0; i < rounds; ++i) {
      const Range page = page_of(range, i % pages);
      ::madvise(page.begin.as(), page.size, MADV_DONTNEED);
      together.arrive_and_wait();
      faults::PageFiller filler(space.descriptor(), range, range.begin, nullptr, {});
      if (source.fill(page.begin - range.begin, filler) != UffdOutcome::done) wrong.fetch_add(1);
      together.arrive_and_wait();
    }
  }
  CHECK(wrong.load() == 0);
  const auto info = space.descriptor().info();
  REQUIRE(info);
  CHECK(info->total == 0);  // nobody waits any more
}

TEST_CASE("one fill of a cluster wakes everybody who waits for one of its pages") {
  auto server = start_or_skip("delivery: batch", Delivery::thread);
  if (server == nullptr) return;
  for (std::size_t round = 0; round < scaled(200); ++round) {
    auto memory = *os::Mapping::anonymous(16 * page_size(), os::HugePages::never);
    OracleSource oracle(round, 16, 16);
    HeldSource source(oracle);
    REQUIRE(server->serve_missing(memory.range(), source));
    std::atomic<int> wrong{0}, begun{0};
    {
      std::vector<std::jthread> threads;
      for (std::size_t t = 0; t < 6; ++t) {
        threads.emplace_back([&, t] {
          begun.fetch_add(1);
          if (!oracle.matches(page_of(memory.range(), t * 3).begin, t * 3)) wrong.fetch_add(1);
        });
      }
      while (begun.load() != 6 || source.asked.load() == 0) ::sched_yield();
      source.may_fill = true;
    }
    CHECK(wrong.load() == 0);
    REQUIRE(server->release(memory.range()));
  }
}

TEST_CASE("the address space changes all the time: fills and protection are put off, not lost") {
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated,
                      UffdFeature::event_remove};
  auto server = start_or_skip("delivery: changing", Delivery::thread, options);
  if (server == nullptr) return;
  const std::size_t pages = scaled(2'000), given_up = 32;
  auto memory = *os::Mapping::anonymous((pages + given_up) * page_size(), os::HugePages::never);
  const Range range = memory.range();
  OracleSource source(seed_for("delivery: changing"), pages + given_up);
  Watcher watcher(range);
  watcher.server = server.get();
  REQUIRE(server->serve_missing(range, source));
  REQUIRE(server->watch_writes(range, watcher));
  const Range tail = page_of(range, pages, given_up);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> wrong{0};
  {
    std::jthread remover([&] {
      while (!stop.load()) {
        for (std::size_t i = 0; i < given_up; ++i) {
          const Address page = page_of(tail, i).begin;
          if (::madvise(page.as(), page_size(), MADV_DONTNEED) != 0) wrong.fetch_add(1);
          if (peek(page + 5) != 0) wrong.fetch_add(1);  // zeros, not the image
          poke(page + 5, 'n');
        }
      }
    });
    std::jthread protector([&] {
      while (!stop.load()) watcher.arm(0, 16);
    });
    for (std::size_t i = 16; i < pages; ++i) {
      const Address page = page_of(range, i).begin;
      if (i % 2 == 0 && !source.matches(page, i)) wrong.fetch_add(1);
      poke(page, 'w');
      if (std::memcmp((page + 1).as(), source.page(i) + 1, page_size() - 1) != 0)
        wrong.fetch_add(1);
      poke(page_of(range, i % 16).begin, 'w');                     // protected again and again
      if (i % 64 == 0 && !server->is_alive()) wrong.fetch_add(1);  // EAGAIN is not the end
    }
    stop = true;
  }
  CHECK(wrong.load() == 0);
  MESSAGE("put off: " << server->counters().deferred);
  REQUIRE(server->release(range));
}

}  // namespace
}  // namespace weir
