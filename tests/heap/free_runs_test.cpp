#include "runtime/heap/free_runs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "runtime/os/mapping.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

struct Piece {  // in granules
  std::size_t begin;
  std::size_t size;
  bool is_object;
  unsigned mark;
};

std::vector<Piece> random_pieces(test::Random& random) {
  const std::size_t longest = std::size_t{1} << (random() % 10);
  const unsigned survivors = 1 + static_cast<unsigned>(random() % 8);  // one in
  const unsigned epoch = 1 + static_cast<unsigned>(random() % 3);
  std::vector<Piece> pieces;
  for (std::size_t at = 0; at < kBlockGranules;) {
    const std::size_t size = std::min(1 + random() % longest, kBlockGranules - at);
    const unsigned mark = random() % survivors == 0 ? epoch : static_cast<unsigned>(random() % 4);
    pieces.push_back({at, size, random() % 4 != 0, mark});
    at += size;
  }
  return pieces;
}

struct SweptBlock {
  os::Mapping memory = *os::Mapping::anonymous(kBlockGranules);
  Range block{Address(std::uintptr_t{1} << 32), kBlockBytes};
  Metadata metadata{block, memory.as<std::uint8_t>()};

  Address at(std::size_t granule) const { return block.begin + granule * kGranuleBytes; }
  void write(const std::vector<Piece>& pieces, test::Random& random) const {
    metadata.clear(block);
    for (const Piece& piece : pieces) {
      const auto trace = static_cast<TraceClass>(1 + random() % 5);
      metadata.store(at(piece.begin), piece.is_object
                                          ? MetadataByte::start(trace).marked(piece.mark)
                                          : MetadataByte::free_start());
      if (piece.is_object && piece.size > 1)
        metadata.store(at(piece.begin + 1),
                       MetadataByte(static_cast<std::uint8_t>(random() % 121)));
    }
  }
};

// The same by joining what is dead, piece by piece.
std::vector<Piece> naive_sweep(const std::vector<Piece>& pieces, unsigned epoch,
                               std::size_t keep_begin, std::size_t keep_end) {
  std::vector<Piece> result;
  for (const Piece& piece : pieces) {
    const bool kept = piece.begin >= keep_begin && piece.begin < keep_end;
    if (kept || (piece.is_object && piece.mark == epoch))
      result.push_back({piece.begin, piece.size, true, piece.mark});
    else if (!result.empty() && !result.back().is_object)
      result.back().size += piece.size;
    else
      result.push_back({piece.begin, piece.size, false, 0});
  }
  return result;
}

}  // namespace

TEST_CASE("sweeping a block finds what a model finds, and keeps what it must") {
  test::Random random(test::seed_for("sweeping"));
  const SweptBlock swept;
  for (std::size_t round = 0; round < test::scaled(3000); ++round) {
    const auto pieces = random_pieces(random);
    swept.write(pieces, random);
    const unsigned epoch = 1 + static_cast<unsigned>(random() % 3);
    std::size_t keep_begin = kBlockGranules, keep_end = kBlockGranules;
    if (random() % 2 != 0) {
      const std::size_t first = random() % pieces.size();
      const std::size_t last = first + random() % (pieces.size() - first);
      keep_begin = pieces[first].begin;
      keep_end = pieces[last].begin + pieces[last].size;
    }
    std::vector<MetadataByte> before;
    for (std::size_t i = 0; i < kBlockGranules; ++i)
      before.push_back(swept.metadata.load(swept.at(i)));

    const Range keep = Range::between(swept.at(keep_begin), swept.at(keep_end));
    const SweepResult result = sweep_block(swept.metadata, swept.block, epoch, keep);

    const auto expected = naive_sweep(pieces, epoch, keep_begin, keep_end);
    std::size_t usable = 0, longest = 0;
    std::vector<bool> starts(kBlockGranules);
    for (const Piece& piece : expected) {
      starts[piece.begin] = true;
      const MetadataByte byte = swept.metadata.load(swept.at(piece.begin));
      if (piece.is_object) {
        REQUIRE(byte.value() == before[piece.begin].value());
      } else {
        if (piece.size * kGranuleBytes >= kSmallestHole) usable += piece.size;
        longest = std::max(longest, piece.size);
        REQUIRE(byte.value() == MetadataByte::free_start().value());
      }
    }
    REQUIRE(result.usable_granules == usable);
    REQUIRE(result.longest_run == longest);
    for (std::size_t i = 0; i < kBlockGranules; ++i)
      REQUIRE(swept.metadata.load(swept.at(i)).is_start() == starts[i]);

    // Twice is as once.
    const SweepResult again = sweep_block(swept.metadata, swept.block, epoch, keep);
    REQUIRE(again.usable_granules == usable);
    REQUIRE(again.longest_run == longest);
  }
}

TEST_CASE("free runs are offered in order, none but those that are long enough") {
  test::Random random(test::seed_for("free runs"));
  const SweptBlock swept;
  for (std::size_t round = 0; round < test::scaled(2000); ++round) {
    auto pieces = naive_sweep(random_pieces(random), 1, 0, 0);
    swept.write(pieces, random);
    const std::size_t wanted = std::size_t{1} << (random() % 10);
    Address from = swept.block.begin;
    for (const Piece& piece : pieces) {
      if (piece.is_object || piece.size < wanted) continue;
      const Range run =
          next_free_run(swept.metadata, from, swept.block.end(), wanted * kGranuleBytes);
      REQUIRE(run == Range{swept.at(piece.begin), piece.size * kGranuleBytes});
      from = run.end();
    }
    REQUIRE(next_free_run(swept.metadata, from, swept.block.end(), wanted * kGranuleBytes).empty());
  }
}
