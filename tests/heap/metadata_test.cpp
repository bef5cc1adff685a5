#include "runtime/heap/metadata.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/os/mapping.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

// The table of two blocks that need no memory themselves.
struct Table {
  os::Mapping memory = *os::Mapping::anonymous(2 * kBlockGranules);
  Range objects{Address(std::uintptr_t{1} << 32), 2 * kBlockBytes};
  Metadata metadata{objects, memory.as<std::uint8_t>()};
  Range block{objects.begin + kBlockBytes, kBlockBytes};

  Address granule(std::size_t index) const { return block.begin + index * kGranuleBytes; }
  void fill(test::Random& random, unsigned one_in) const {
    for (Address a = objects.begin; a < objects.end(); a = a + kGranuleBytes) {
      const auto noise = static_cast<std::uint8_t>(random() & 0x7f);
      metadata.store(a,
                     MetadataByte(random() % one_in == 0 ? noise | MetadataByte::kStart : noise));
    }
  }
};

Address naive_next(const Metadata& metadata, Address after, Address end) {
  for (Address a = after + kGranuleBytes; a < end; a = a + kGranuleBytes)
    if (metadata.load(a).is_start()) return a;
  return end;
}

Address naive_before(const Metadata& metadata, Address at, Address first) {
  for (Address a = at; a >= first; a = a - kGranuleBytes)
    if (metadata.load(a).is_start()) return a;
  return {};
}

}  // namespace

TEST_CASE("a byte keeps its class and its mark apart") {
  for (const auto trace : {TraceClass::leaf, TraceClass::conservative, TraceClass::slots,
                           TraceClass::bitmap, TraceClass::callback}) {
    const auto byte = MetadataByte::start(trace);
    CHECK(byte.is_object());
    CHECK(byte.mark() == 0);
    for (unsigned epoch = 1; epoch <= 3; ++epoch) {
      const auto marked = byte.marked(1).marked(epoch);
      CHECK(marked.mark() == epoch);
      CHECK(marked.trace_class() == trace);
      CHECK(marked.is_start());
    }
  }
  CHECK(MetadataByte::free_start().is_start());
  CHECK_FALSE(MetadataByte::free_start().is_object());
  CHECK(next_epoch(1) == 2);
  CHECK(next_epoch(2) == 3);
  CHECK(next_epoch(3) == 1);
}

TEST_CASE("starts are found as a scan byte by byte finds them") {
  test::Random random(test::seed_for("metadata scans"));
  const Table table;
  for (const unsigned one_in : {1, 3, 40, 5000}) {
    table.fill(random, one_in);
    for (std::size_t i = 0; i < test::scaled(20'000); ++i) {
      const Address at = table.granule(random() % kBlockGranules);
      const Address end =
          random() % 2 != 0
              ? table.block.end()
              : at + (1 + random() % ((table.block.end() - at) / kGranuleBytes)) * kGranuleBytes;
      REQUIRE(table.metadata.next_start(at, end) == naive_next(table.metadata, at, end));
      const Address first =
          random() % 2 != 0
              ? table.block.begin
              : at - random() % ((at - table.block.begin) / kGranuleBytes + 1) * kGranuleBytes;
      // Any address of the granule.
      REQUIRE(table.metadata.start_at_or_before(at + random() % kGranuleBytes, first) ==
              naive_before(table.metadata, at, first));
    }
  }
}

TEST_CASE("clearing a range clears nothing beside it") {
  test::Random random(test::seed_for("metadata clearing"));
  const Table table;
  for (int round = 0; round < 50; ++round) {
    table.fill(random, 2);
    const std::size_t first = random() % kBlockGranules;
    const std::size_t count = 1 + random() % (kBlockGranules - first);
    std::vector<std::uint8_t> expected(table.memory.as<std::uint8_t>(),
                                       table.memory.as<std::uint8_t>() + 2 * kBlockGranules);
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(kBlockGranules + first), count, 0);
    table.metadata.clear({table.granule(first), count * kGranuleBytes});
    REQUIRE(std::equal(expected.begin(), expected.end(), table.memory.as<std::uint8_t>()));
  }
}

TEST_CASE("of threads that mark the same object one is told so, in each epoch") {
  constexpr unsigned kThreads = 4;
  const Table table;
  for (std::size_t i = 0; i < kBlockGranules; ++i)
    table.metadata.store(table.granule(i), MetadataByte::start(TraceClass::slots));
  unsigned epoch = 1;
  for (std::size_t round = 0; round < test::scaled(100) + 3; ++round, epoch = next_epoch(epoch)) {
    std::vector<std::atomic<unsigned>> marked(kBlockGranules);
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t)
      threads.emplace_back([&] {
        ++ready;
        while (ready != kThreads) std::this_thread::yield();
        for (std::size_t i = 0; i < kBlockGranules; ++i)
          if (table.metadata.mark_once(table.granule(i), epoch)) ++marked[i];
      });
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < kBlockGranules; ++i) {
      REQUIRE(marked[i] == 1);
      REQUIRE(table.metadata.load(table.granule(i)).value() ==
              MetadataByte::start(TraceClass::slots).marked(epoch).value());
    }
  }
}
