// The heap's blocks, as weir_heap_blocks shows them.
#include <algorithm>
#include <vector>

#include "tests/capi/cpp_rig.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::size_t kBlock = 64 * 1024;

struct Map {
  explicit Map(MutatorRef mutator) {
    mutator.for_each_block([this](const weir_block& block) { blocks.push_back(block); });
  }
  std::size_t count(weir_block_state state) const {
    return static_cast<std::size_t>(
        std::ranges::count(blocks, state, [](const weir_block& block) { return block.state; }));
  }
  std::size_t used() const {
    std::size_t bytes = 0;
    for (const weir_block& block : blocks) bytes += block.used_bytes;
    return bytes;
  }
  std::vector<weir_block> blocks;
};

}  // namespace

TEST_CASE("a heap that nothing was allocated in has no blocks") {
  CollectedHeap rig;
  CHECK(Map(rig.mutator).blocks.empty());
}

TEST_CASE("blocks are owned, filled, unswept and free again") {
  CollectedHeap rig;
  constexpr std::size_t kNodes = 10 * kBlock / 32;
  static_assert(sizeof(Node) == 24, "32 with what rounds it up");
  Local<Node> list(rig.mutator);
  for (std::size_t i = 0; i < kNodes; ++i) list = rig.mutator.make(rig.node, list.get());
  const Map filled(rig.mutator);
  CHECK(filled.count(WEIR_BLOCK_OWNED) == 1);
  CHECK(filled.count(WEIR_BLOCK_FILLED) == filled.blocks.size() - 1);
  CHECK(std::ranges::is_sorted(filled.blocks, {}, &weir_block::start));
  for (const weir_block& block : filled.blocks) {
    CHECK(block.used_bytes == kBlock);
    CHECK_FALSE(block.leaf);
    CHECK(block.young);
    CHECK_FALSE(block.armed);
  }

  must(rig.mutator.collect());
  const Map collected(rig.mutator);
  CHECK(collected.count(WEIR_BLOCK_UNSWEPT) == filled.blocks.size());
  CHECK(collected.used() == rig.heap.statistics().live_bytes);
  CHECK(collected.used() == kNodes * 32);
  for (const weir_block& block : collected.blocks) CHECK_FALSE(block.young);

  list = nullptr;
  must(rig.mutator.collect());
  CHECK(Map(rig.mutator).used() == 0);
  rig.heap.trim();  // sweeps
  CHECK(Map(rig.mutator).count(WEIR_BLOCK_FREE) == filled.blocks.size());
}

TEST_CASE("half of a block's objects die, and half of it is used") {
  CollectedHeap rig;
  Local<Node> kept(rig.mutator);
  for (std::size_t i = 0; i < kBlock / 32; ++i) {
    Node* node = rig.mutator.make(rig.node, kept.get());
    if (i % 2 == 0) kept = node;
  }
  must(rig.mutator.collect());
  const Map unswept(rig.mutator);
  rig.heap.trim();
  const Map swept(rig.mutator);
  CHECK(unswept.count(WEIR_BLOCK_UNSWEPT) == 1);
  CHECK(swept.count(WEIR_BLOCK_SWEPT) == 1);
  CHECK(unswept.used() == kBlock / 2);
  CHECK(swept.used() == kBlock / 2);
}

TEST_CASE("large objects and leaves have blocks of their own") {
  CollectedHeap rig;
  const Local<char> large(rig.mutator, rig.mutator.make_array(kBuiltIn<char>, 3 * kBlock));
  const Local<char> small(rig.mutator, rig.mutator.make_array(kBuiltIn<char>, 100));
  const Map map(rig.mutator);
  CHECK(map.count(WEIR_BLOCK_LARGE) == 3);
  CHECK(map.count(WEIR_BLOCK_OWNED) == 1);
  for (const weir_block& block : map.blocks) CHECK(block.leaf == (block.state == WEIR_BLOCK_OWNED));
}
