#include "runtime/heap/blocks.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

struct Rig {
  Region region;
  Blocks blocks;

  explicit Rig(std::size_t bytes)
      : region(*Region::reserve(bytes, os::HugePages::never)), blocks(*Blocks::create(region)) {
    blocks.set_limit(region.block_count());
  }
  void write(BlockIndex index) const {
    const Range range = region.range_of(index);
    region.block(index).pristine = false;
    std::memset(range.begin.as(), 1, 16);
    std::memset((range.end() - 16).as(), 1, 16);
    region.metadata().store(range.begin, MetadataByte::free_start());
  }
  bool is_zero(BlockIndex index) const {
    const Range range = region.range_of(index);
    for (Address a = range.begin; a < range.end(); a = a + sizeof(std::uint64_t))
      if (*a.as<std::uint64_t>() != 0) return false;
    for (Address a = range.begin; a < range.end(); a = a + kGranuleBytes)
      if (region.metadata().load(a).value() != 0) return false;
    return true;
  }
};

// Which blocks are in use; below `frontier` the others were so once, or were left for an alignment.
struct Model {
  std::vector<bool> used;
  std::size_t frontier = 0;
  std::size_t in_use = 0;

  bool is_free(std::size_t first, std::size_t count) const {
    for (std::size_t i = first; i < first + count; ++i)
      if (used[i]) return false;
    return true;
  }
  bool has_hole(std::size_t count, std::size_t alignment) const {
    for (std::size_t first = 0; first + count <= frontier; first += alignment)
      if (is_free(first, count)) return true;
    return false;
  }
};

struct Run {
  BlockIndex first;
  std::size_t count;
};

}  // namespace

TEST_CASE("blocks are taken, given back and trimmed as in a model") {
  test::Random random(test::seed_for("blocks"));
  Rig rig(std::size_t{96} << 20);
  Model model;
  model.used.resize(rig.region.block_count());
  std::size_t limit = 1000;
  rig.blocks.set_limit(limit);
  std::vector<Run> runs;

  const auto take = [&] {
    const std::size_t count = random() % 8 != 0 ? 1 + random() % 4 : 1 + random() % 200;
    const std::size_t alignment = random() % 4 != 0 ? 1 : std::size_t{1} << random() % 6;
    const auto taken = rig.blocks.take(count, BlockState::large, alignment);
    const bool has_hole = model.has_hole(count, alignment);
    const std::size_t next = (model.frontier + alignment - 1) / alignment * alignment;
    const bool fits = model.in_use + count <= limit;
    if (!taken) {
      REQUIRE(taken.error().code == ErrorCode::out_of_memory);
      REQUIRE_FALSE((fits && (has_hole || next + count <= model.used.size())));
      return;
    }
    REQUIRE(fits);
    REQUIRE(taken->value % alignment == 0);
    REQUIRE(taken->value + count <= rig.region.committed());
    REQUIRE(model.is_free(taken->value, count));
    // Those used before come first.
    if (has_hole)
      REQUIRE(taken->value + count <= model.frontier);
    else
      REQUIRE(taken->value == next);
    for (std::size_t i = taken->value; i < taken->value + count; ++i) {
      model.used[i] = true;
      REQUIRE(rig.region.block(BlockIndex(i)).state() == BlockState::large);
      if (rig.region.block(BlockIndex(i)).pristine) REQUIRE(rig.is_zero(BlockIndex(i)));
      if (random() % 4 != 0) rig.write(BlockIndex(i));
    }
    model.in_use += count;
    model.frontier = std::max(model.frontier, taken->value + count);
    runs.push_back({*taken, count});
  };
  const auto give_back = [&] {
    if (runs.empty()) return;
    std::swap(runs[random() % runs.size()], runs.back());
    const Run run = runs.back();
    runs.pop_back();
    rig.blocks.give_back(run.first, run.count);
    for (std::size_t i = 0; i < run.count; ++i) model.used[run.first.value + i] = false;
    model.in_use -= run.count;
  };
  const auto trim = [&] {
    std::size_t expected = 0;
    for (std::size_t i = 0; i < model.frontier; ++i)
      if (!model.used[i] && !rig.region.block(BlockIndex(i)).pristine) expected += kBlockBytes;
    REQUIRE(rig.blocks.trim([](Range) {}) == expected);
    for (std::size_t i = 0; i < model.frontier; ++i)
      if (!model.used[i]) REQUIRE(rig.region.block(BlockIndex(i)).pristine);
    REQUIRE(rig.blocks.trim([](Range) {}) == 0);
  };

  for (std::size_t step = 0; step < test::scaled(20'000); ++step) {
    const std::size_t choice = random() % 1000;
    if (choice < 500) {
      take();
    } else if (choice < 990) {
      give_back();
    } else if (choice < 995) {
      trim();
    } else {
      limit = model.in_use + random() % 700;
      rig.blocks.set_limit(limit);
    }
    REQUIRE(rig.blocks.in_use() == model.in_use);
    REQUIRE(rig.blocks.frontier() == model.frontier);
  }
}

TEST_CASE("each block with holes is offered once until the next restart") {
  Rig rig(kArenaBytes);
  const auto put = [&](BlockState state, bool leaf, std::uint16_t longest_run) {
    const BlockIndex index = *rig.blocks.take(1, BlockState::owned);
    Block& block = rig.region.block(index);
    block.leaf = leaf;
    block.longest_run = longest_run;
    if (state == BlockState::swept) block.become(BlockState::swept);
    if (state == BlockState::filled || state == BlockState::unswept)
      block.become(BlockState::filled);
    if (state == BlockState::unswept) block.become(BlockState::unswept);
    return index;
  };
  put(BlockState::owned, false, 4000);
  const BlockIndex unswept = put(BlockState::unswept, false, 0);
  put(BlockState::filled, false, 4000);
  const BlockIndex leaf = put(BlockState::unswept, true, 0);
  put(BlockState::swept, false, 3);
  const BlockIndex fits = put(BlockState::swept, false, 4);
  rig.blocks.give_back(*rig.blocks.take(1, BlockState::large), 1);

  for (int round = 0; round < 2; ++round) {
    CHECK(rig.blocks.next_with_new_holes(false, 4) == unswept);
    CHECK(rig.blocks.next_with_new_holes(true, 4) == leaf);
    CHECK(rig.blocks.next_with_new_holes(false, 4) == fits);
    CHECK(rig.blocks.next_with_new_holes(false, 4) == std::nullopt);
    CHECK(rig.blocks.next_with_new_holes(true, 4) == std::nullopt);
    rig.blocks.restart();
  }
}

TEST_CASE("holes of the last cycle are offered before those that earlier ones left") {
  Rig rig(kArenaBytes);
  std::vector<BlockIndex> blocks;
  for (int i = 0; i < 6; ++i) {
    blocks.push_back(*rig.blocks.take(1, BlockState::owned));
    rig.region.block(blocks.back()).become(BlockState::filled);
  }
  const auto add = [&](std::initializer_list<std::size_t> which) {
    rig.blocks.begin_adding();
    for (const std::size_t i : which) {
      Block& block = rig.region.block(blocks[i]);
      if (block.state() == BlockState::filled) block.become(BlockState::unswept);
      rig.blocks.add_with_holes(blocks[i]);
    }
    rig.blocks.end_adding();
  };
  const auto next = [&] { return rig.blocks.next_with_new_holes(false, 4); };
  add({1, 2, 5});
  CHECK(next() == blocks[1]);
  add({0, 3});
  CHECK(next() == blocks[0]);
  CHECK(next() == blocks[3]);
  CHECK(next() == blocks[2]);
  // The others' round goes on where it was.
  CHECK(rig.blocks.next_with_any_hole(false, 4) == blocks[0]);
  add({4});
  CHECK(rig.blocks.next_with_any_hole(false, 4) == blocks[1]);
  CHECK(next() == blocks[4]);
  CHECK(next() == blocks[5]);
}

TEST_CASE("a region of nothing, or of everything, is an error") {
  CHECK(Region::reserve(0, os::HugePages::never).error().code == ErrorCode::invalid_argument);
  CHECK(Region::reserve(kObjectMax + 1, os::HugePages::never).error().code ==
        ErrorCode::invalid_argument);
}

TEST_CASE("cards have memory, and count, from when they are asked for") {
  Rig rig(3 * kArenaBytes);
  REQUIRE(rig.region.commit_next().has_value());
  const std::size_t without = rig.region.metadata_bytes(kArenaBlocks);
  REQUIRE(rig.region.commit_cards().has_value());
  CHECK(rig.region.metadata_bytes(kArenaBlocks) == without + (kArenaBytes >> barrier::kCardShift));
  REQUIRE(rig.region.commit_cards().has_value());  // twice is once
  REQUIRE(rig.region.commit_next().has_value());
  CHECK(rig.region.metadata_bytes(2 * kArenaBlocks) ==
        2 * (without + (kArenaBytes >> barrier::kCardShift)));
  const Range objects = rig.region.range();
  CHECK(rig.region.cards().owned == objects);
  for (const Address a : {objects.begin, objects.begin + 2 * kArenaBytes - 1}) {
    CHECK(*rig.region.cards().card_of(a) == 0);
    rig.region.cards().mark(a);
    CHECK(rig.region.cards().biased()[a.value() >> barrier::kCardShift] == 1);
  }
}
