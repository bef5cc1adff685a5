#include "runtime/heap/unit_holes.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <vector>

#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

constexpr std::size_t kBlocks = 64;

// The longest run of units that are free, by looking at each.
unsigned longest_run(UnitMask used, unsigned units) {
  unsigned longest = 0, run = 0;
  for (unsigned unit = 0; unit < units; ++unit) {
    run = (used >> unit & 1) != 0 ? 0 : run + 1;
    longest = std::max(longest, run);
  }
  return longest;
}

void run_against_model(unsigned units) {
  test::Random random(test::seed_for("holes between large objects"));
  UnitHoles holes = *UnitHoles::create(kBlocks, units);
  std::vector<UnitMask> used(kBlocks);
  std::size_t found = 0, missed = 0;
  for (std::size_t step = 0; step < test::scaled(20'000); ++step) {
    const std::size_t block = random() % kBlocks;
    const auto mask = static_cast<UnitMask>(random() & ((1u << units) - 1));
    const auto after = static_cast<UnitMask>(random() % 4 == 0   ? 0
                                             : random() % 4 == 0 ? (1u << units) - 1
                                             : random() % 2 == 0 ? used[block] & mask
                                                                 : used[block] | mask);
    holes.changed(BlockIndex(block), used[block], after);
    used[block] = after;

    const std::size_t wanted = 1 + random() % units;
    const std::size_t alignment = std::size_t{1} << random() % 5;
    // That which any run of its length holds, wherever it begins.
    unsigned tightest = 0;
    std::size_t where = 0;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const unsigned run = used[i] == 0 ? 0 : longest_run(used[i], units);
      if (run >= wanted + alignment - 1 && (tightest == 0 || run < tightest)) {
        tightest = run;
        where = i;
      }
    }
    const auto hole =
        holes.find(wanted, alignment, [&](BlockIndex index) { return used[index.value]; });
    REQUIRE(hole.has_value() == (tightest != 0));
    if (!hole) {
      ++missed;
      continue;
    }
    ++found;
    REQUIRE(hole->block.value == where);
    REQUIRE(hole->unit % alignment == 0);
    for (std::size_t i = 0; i < wanted; ++i) REQUIRE((used[where] >> (hole->unit + i) & 1) == 0);
  }
  if (units > 1) CHECK(found > 0);
  CHECK(missed > 0);
}

}  // namespace

TEST_CASE("the tightest hole is found, the lowest of them, and aligned") {
  run_against_model(16);
}

TEST_CASE("the same with larger pages") {
  run_against_model(4);
  run_against_model(1);
}
