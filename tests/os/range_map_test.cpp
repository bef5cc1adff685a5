// Disjoint ranges by address, against a map from each byte to its value.
#include "runtime/os/range_map.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>

#include "tests/support/random.hpp"

namespace weir {
namespace {

using namespace test;
using os::RangeMap;

constexpr std::size_t kBytes = 64;
using Oracle = std::array<int, kBytes>;  // 0: nobody's

Range bytes(std::size_t first, std::size_t count) {
  return {Address(0x1000 + first), count};
}

void compare(RangeMap<int>& map, const Oracle& oracle) {
  for (std::size_t i = 0; i < kBytes; ++i) {
    auto* entry = map.find(bytes(i, 1).begin);
    REQUIRE((entry != nullptr ? entry->value : 0) == oracle[i]);
    if (entry != nullptr) REQUIRE(map.find_exactly(entry->range) == entry);
  }
  REQUIRE(map.find(Address(0x0fff)) == nullptr);
  REQUIRE(map.find(bytes(kBytes, 1).begin) == nullptr);
  Address last;
  std::size_t covered = 0;
  for (const auto& entry : map) {  // sorted, disjoint, none empty
    REQUIRE(entry.range.begin >= last);
    REQUIRE(!entry.range.empty());
    last = entry.range.end();
    covered += entry.range.size;
  }
  std::size_t expected = 0;
  for (const int value : oracle) expected += value != 0;
  REQUIRE(covered == expected);
  REQUIRE(map.empty() == (expected == 0));
}

TEST_CASE("random changes and lookups agree with the oracle") {
  Random random(seed_for("range_map: random changes"));
  for (std::size_t round = 0; round < scaled(100); ++round) {
    RangeMap<int> map;
    Oracle oracle = {};
    for (int value = 1; value <= 60; ++value) {
      const std::size_t first = random() % kBytes;
      const std::size_t count = 1 + random() % (kBytes - first);
      const Range range = bytes(first, random() % 2 == 0 ? count : 1 + random() % count);
      bool taken = false;
      for (std::size_t i = 0; i < range.size; ++i) taken = taken || oracle[first + i] != 0;
      REQUIRE(map.overlaps(range) == taken);

      const RangeMap<int> before = map;
      RangeMap<int> next = taken ? map.without(range) : map.with(range, value);
      for (std::size_t i = 0; i < range.size; ++i) oracle[first + i] = taken ? 0 : value;
      map.swap(next);
      compare(map, oracle);
      REQUIRE(std::equal(before.begin(), before.end(), next.begin(), next.end(),
                         [](const auto& a, const auto& b) {
                           return a.range == b.range && a.value == b.value;
                         }));  // the old one is as it was
    }
  }
}

TEST_CASE("find_around wants the whole range in one entry") {
  RangeMap<int> map;
  map = map.with(bytes(0, 8), 1).with(bytes(8, 8), 2);
  CHECK(map.find_around(bytes(0, 8))->value == 1);
  CHECK(map.find_around(bytes(3, 2))->value == 1);
  CHECK(map.find_around(bytes(4, 8)) == nullptr);   // in two
  CHECK(map.find_around(bytes(12, 8)) == nullptr);  // sticks out
  CHECK(map.find_exactly(bytes(0, 4)) == nullptr);
  CHECK(map.find_exactly(bytes(0, 16)) == nullptr);
}

TEST_CASE("what is cut out of the middle leaves both ends, with their value") {
  RangeMap<int> map = RangeMap<int>().with(bytes(0, 16), 7).without(bytes(4, 8));
  CHECK(map.find(bytes(3, 1).begin)->value == 7);
  CHECK(map.find(bytes(4, 1).begin) == nullptr);
  CHECK(map.find(bytes(11, 1).begin) == nullptr);
  CHECK(map.find(bytes(12, 1).begin)->value == 7);
}

}  // namespace
}  // namespace weir
