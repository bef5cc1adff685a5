#include "runtime/heap/large_objects.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "runtime/heap/space.hpp"
#include "runtime/os/probe.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

constexpr std::size_t kLimit = std::size_t{192} << 20;

// From 8 KiB to 16 MiB, as many of each magnitude.
std::size_t random_size(test::Random& random) {
  const std::size_t magnitude = std::size_t{8192} << random() % 11;
  return magnitude + 1 + random() % magnitude;
}

bool is_filled(Range range, unsigned char pattern) {
  const auto* bytes = range.begin.as<unsigned char>();
  return bytes[0] == pattern && std::memcmp(bytes, bytes + 1, range.size - 1) == 0;
}

struct Rig {
  Region region = *Region::reserve(2 * kLimit, os::HugePages::never);
  Blocks blocks = *Blocks::create(region);
  LargeObjects large = *LargeObjects::create(region, blocks);
  unsigned epoch = 1;

  struct Object {
    std::size_t bytes;
    KindTag kind;
    unsigned char pattern;
  };
  std::map<Address, Object> model;

  Rig() { blocks.set_limit(kLimit / kBlockBytes); }

  Range units_of(Address begin, const Object& object) const {
    return Range::between(begin, (begin + object.bytes).align_up(region.unit_bytes()));
  }
  bool allocate(test::Random& random) {
    Object object{random_size(random),
                  KindTag::of(random() % 2 != 0 ? TraceClass::leaf : TraceClass::slots),
                  static_cast<unsigned char>(1 + random() % 255)};
    const std::size_t alignment = std::size_t{16}
                                  << (random() % 4 != 0 ? std::size_t{0} : random() % 18);
    const auto place = large.allocate(object.bytes, alignment, object.kind);
    if (!place) {
      REQUIRE(place.error().code == ErrorCode::out_of_memory);
      // Blocks are shared by none but small ones.
      REQUIRE((blocks.in_use() + 1) * kBlockBytes + object.bytes > kLimit);
      return false;
    }
    REQUIRE(place->begin.is_aligned(std::max(alignment, region.unit_bytes())));
    const Range range{place->begin, object.bytes};
    const auto next = model.lower_bound(place->begin);
    if (next != model.end()) REQUIRE(units_of(place->begin, object).end() <= next->first);
    if (next != model.begin()) {
      const auto& [begin, before] = *std::prev(next);
      REQUIRE(units_of(begin, before).end() <= place->begin);
    }
    if (place->is_zeroed) REQUIRE(is_filled(range, 0));
    const MetadataByte byte = region.metadata().load(place->begin);
    REQUIRE(byte.value() == object.kind.start_byte().value());
    std::memset(range.begin.as(), object.pattern, range.size);
    model.emplace(place->begin, object);
    return true;
  }
  void look_inside(test::Random& random) const {
    for (const auto& [begin, object] : model) {
      const Range units = units_of(begin, object);
      for (const std::size_t offset :
           {std::size_t{0}, object.bytes - 1, units.size - 1, random() % units.size}) {
        const LargeObject* found = large.find(begin + offset);
        REQUIRE(found != nullptr);
        REQUIRE(found->range == Range{begin, round_to_granules(object.bytes)});
        REQUIRE(found->kind == object.kind);
      }
    }
  }
  void collect(test::Random& random, unsigned survivors_of_8) {
    epoch = next_epoch(epoch);
    std::size_t dead_bytes = 0;
    std::vector<Range> dead;
    for (auto it = model.begin(); it != model.end();) {
      const auto& [begin, object] = *it;
      REQUIRE(is_filled({begin, object.bytes}, object.pattern));
      if (random() % 8 < survivors_of_8) {
        REQUIRE(region.metadata().mark_once(begin, epoch));
        ++it;
        continue;
      }
      dead_bytes += round_to_granules(object.bytes);
      dead.push_back(units_of(begin, object));
      it = model.erase(it);
    }
    REQUIRE(large.sweep(epoch, [](LargeObject&) {}) == dead_bytes);
    for (const Range range : dead) {
      REQUIRE(large.find(range.begin + random() % range.size) == nullptr);
      REQUIRE(region.metadata().load(range.begin).value() == 0);
    }
  }
};

}  // namespace

TEST_CASE("large objects are apart, found from any address inside, and reused when dead") {
  test::Random random(test::seed_for("large objects"));
  Rig rig;
  std::size_t allocated = 0, refused = 0;
  for (std::size_t round = 0; round < test::scaled(20) + 1; ++round) {
    for (int i = 0; i < 150; ++i) {
      if (rig.allocate(random))
        ++allocated;
      else
        ++refused;
    }
    rig.look_inside(random);
    std::size_t bytes = 0;
    for (const auto& [begin, object] : rig.model) bytes += round_to_granules(object.bytes);
    REQUIRE(rig.large.bytes() == bytes);
    std::size_t visited = 0;
    rig.large.for_each([&](const LargeObject& object) {
      ++visited;
      REQUIRE(rig.model.at(object.range.begin).kind == object.kind);
    });
    REQUIRE(visited == rig.model.size());
    rig.collect(random, static_cast<unsigned>(random() % 8));
  }
  MESSAGE(allocated, " allocated, ", refused, " refused");
  rig.collect(random, 0);
  CHECK(rig.large.bytes() == 0);
  CHECK(rig.blocks.in_use() == 0);
}

TEST_CASE("what was freed is used again: the same work forever takes no more memory") {
  test::Random random(test::seed_for("reuse of large objects"));
  Rig rig;
  const auto fill = [&] {
    for (const std::size_t bytes : {9000, 20'000, 60'000, 70'000, 300'000})
      for (int i = 0; i < 20; ++i)
        REQUIRE(rig.large.allocate(bytes, 16, KindTag::of(TraceClass::leaf)));
  };
  fill();
  const std::size_t frontier = rig.blocks.frontier();
  for (int round = 0; round < 100; ++round) {
    rig.epoch = next_epoch(rig.epoch);
    rig.large.sweep(rig.epoch, [](LargeObject&) {});
    fill();
    REQUIRE(rig.blocks.frontier() == frontier);
  }
}

TEST_CASE("what is left of blocks is used before others are taken, also for aligned objects") {
  Rig rig;
  const std::size_t page = rig.region.unit_bytes();
  const std::size_t units = rig.region.units_per_block();
  const auto allocate = [&](std::size_t pages, std::size_t alignment) {
    REQUIRE(rig.large.allocate(pages * page, alignment, KindTag::of(TraceClass::leaf)));
  };
  // More blocks than anyone would search one by one, each with all but a page free.
  for (int i = 0; i < 1000; ++i) allocate(1, kBlockBytes);
  CHECK(rig.blocks.in_use() == 1000);
  for (int i = 0; i < 1000; ++i) allocate(units / 2, page * 2);
  CHECK(rig.blocks.in_use() == 1000);
  for (int i = 0; i < 1000; ++i) allocate(units / 2 - 2, page);
  CHECK(rig.blocks.in_use() == 1000);
}

TEST_CASE("large objects of a space are zeros, also where others were") {
  test::Random random(test::seed_for("zeroed large objects"));
  auto space =
      *Space::create({.maximum = kLimit, .reserved = kLimit, .huge = os::HugePages::never});
  for (std::size_t round = 0; round < test::scaled(10) + 2; ++round) {
    for (int i = 0; i < 30; ++i) {
      const std::size_t bytes = round_to_granules(random_size(random));
      const auto place = space->allocate_large(bytes, 16, KindTag::of(TraceClass::leaf), true);
      if (!place) break;
      REQUIRE(is_filled({*place, bytes}, 0));
      std::memset(place->as(), 0xff, bytes);
      const auto found = space->find(*place + random() % bytes);
      REQUIRE(found);
      REQUIRE(found->range == Range{*place, bytes});
      const Address behind = *place + bytes;
      if (!behind.is_aligned(space->region().unit_bytes())) REQUIRE_FALSE(space->find(behind));
    }
    space->begin_marking();
    space->end_marking(0, true);
  }
}

TEST_CASE("of a large object what was never given memory is passed over, and nothing else") {
  test::Random random(test::seed_for("populated parts"));
  auto space =
      *Space::create({.maximum = kLimit, .reserved = kLimit, .huge = os::HugePages::never});
  const std::size_t page = os::page_size();
  const std::size_t bytes = std::size_t{8} << 20;
  REQUIRE(space->allocate_large(3 * page, 16, KindTag::of(TraceClass::slots), true));
  const auto place = space->allocate_large(bytes, 16, KindTag::of(TraceClass::slots), true);
  REQUIRE(place);
  std::vector<bool> is_written(bytes / page);
  for (int i = 0; i < 20; ++i) {
    const std::size_t at = random() % bytes;
    *(*place + at).as<char>() = 1;
    is_written[at / page] = true;
  }
  std::vector<bool> is_visited(bytes / page);
  space->for_each_populated({*place, bytes}, [&](Range run) {
    for (Address at = run.begin; at < run.end(); at = at + page)
      is_visited[(at - *place) / page] = true;
  });
  for (std::size_t i = 0; i < is_written.size(); ++i)
    if (is_written[i]) REQUIRE(is_visited[i]);
  // Where the system does not tell, everything is.
  if (os::probe().has_pagemap_scan()) CHECK(is_visited == is_written);
}
