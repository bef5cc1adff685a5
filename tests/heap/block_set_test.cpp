#include "runtime/heap/block_set.hpp"

#include <doctest/doctest.h>

#include <set>

#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

TEST_CASE("a set of blocks finds its members in order") {
  test::Random random(test::seed_for("block set"));
  constexpr std::size_t kBlocks = 1000;
  BlockSet set = *BlockSet::create(kBlocks);
  std::set<std::size_t> model;
  const auto next = [&](std::size_t from, std::size_t end) {
    const auto found = model.lower_bound(from);
    return found == model.end() || *found >= end ? end : *found;
  };
  for (std::size_t step = 0; step < test::scaled(20'000); ++step) {
    // Dense, sparse and empty by turns.
    const bool inserts = random() % 8 < (step / 1000 % 2 == 0 ? 6u : 1u);
    const std::size_t index = random() % 4 == 0 ? set.first(kBlocks) : random() % kBlocks;
    if (index < kBlocks && inserts) {
      set.insert(index);
      model.insert(index);
    } else if (index < kBlocks) {
      set.erase(index);
      model.erase(index);
    }
    const std::size_t from = random() % kBlocks;
    const std::size_t end = from + random() % (kBlocks - from + 1);
    REQUIRE(set.next(from, end) == next(from, end));
    REQUIRE(set.first(kBlocks) == next(0, kBlocks));
    REQUIRE(set.size() == model.size());
    REQUIRE(set.contains(from) == model.contains(from));
  }
}
