#include "gc_demo/heap/picture.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weir::heap_demo {
namespace {

constexpr std::size_t kColumns = 64;
constexpr std::size_t kRows = 15;
constexpr std::size_t kBlockBytes = 64 * 1024;

struct Cell {
  char glyph;
  Style style;
};

char fullness(std::size_t percent) {
  return percent < 5 ? '.' : percent < 35 ? ':' : percent < 70 ? '+' : '#';
}

// Of many blocks, the most common sort.
weir_block_state state_of(const weir_block* first, const weir_block* past) {
  std::size_t counts[WEIR_BLOCK_LARGE + 1] = {};
  for (const weir_block* block = first; block < past; ++block) ++counts[block->state];
  return static_cast<weir_block_state>(std::ranges::max_element(counts) - counts);
}

char glyph_of(weir_block_state state, std::size_t percent) {
  switch (state) {
    case WEIR_BLOCK_FREE:
      return ' ';
    case WEIR_BLOCK_OWNED:
      return '@';
    case WEIR_BLOCK_FILLED:
      return 'n';
    case WEIR_BLOCK_UNSWEPT:
    case WEIR_BLOCK_SWEPT:
      return fullness(percent);
    case WEIR_BLOCK_LARGE:
      return percent > 90 ? 'L' : 'l';
  }
  return '?';
}

// The colour is the age, of most of those in use.
Style style_of(const weir_block* first, const weir_block* past) {
  std::size_t young = 0;
  std::size_t armed = 0;
  std::size_t others = 0;
  for (const weir_block* block = first; block < past; ++block) {
    if (block->state == WEIR_BLOCK_FREE) continue;
    ++(block->young ? young : block->armed ? armed : others);
  }
  if (young >= armed && young >= others) return Style::yellow;
  return armed >= others ? Style::green : Style::cyan;
}

Cell cell_of(const weir_block* first, const weir_block* past) {
  std::size_t used = 0;
  for (const weir_block* block = first; block < past; ++block) used += block->used_bytes;
  const std::size_t percent = 100 * used / (static_cast<std::size_t>(past - first) * kBlockBytes);
  const char glyph = glyph_of(state_of(first, past), percent);
  return {glyph, glyph == ' ' ? Style::plain : style_of(first, past)};
}

double mib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// What is in use of the blocks, the young part apart.
std::string bar(std::size_t old, std::size_t young, std::size_t whole, const Terminal& terminal) {
  const auto columns = [&](std::size_t part) {
    return whole == 0 ? 0 : std::min(kColumns, part * kColumns / whole);
  };
  const std::size_t with_old = columns(old);
  const std::size_t filled = columns(old + young);
  return std::string(with_old, '#') +
         terminal.styled(Style::yellow, std::string(filled - with_old, 'n')) +
         std::string(kColumns - filled, '-');
}

}  // namespace

std::vector<weir_block> blocks_of(MutatorRef mutator) {
  std::vector<weir_block> blocks;
  mutator.for_each_block([&](const weir_block& block) { blocks.push_back(block); });
  return blocks;
}

std::vector<std::string> picture_of(const std::vector<weir_block>& blocks,
                                    const weir_statistics& statistics, const Terminal& terminal) {
  const std::size_t per_cell = (blocks.size() + kColumns * kRows - 1) / (kColumns * kRows);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < blocks.size();) {
    std::string line = "  |";
    std::size_t column = 0;
    for (; column < kColumns && at < blocks.size(); ++column) {
      const std::size_t past = std::min(blocks.size(), at + per_cell);
      const Cell cell = cell_of(blocks.data() + at, blocks.data() + past);
      line += terminal.styled(cell.style, std::string(1, cell.glyph));
      at = past;
    }
    lines.push_back(line + std::string(kColumns - column, ' ') + "|");
  }
  std::size_t old = 0;
  std::size_t young = 0;
  for (const weir_block& block : blocks) (block.young ? young : old) += block.used_bytes;
  lines.push_back(fmt::format("  [{}] {:.0f}/{:.0f} MiB",
                              bar(old, young, blocks.size() * kBlockBytes, terminal),
                              mib(old + young), mib(statistics.heap_bytes)));
  lines.push_back(fmt::format("  {} minor collections, {} full; nursery {:.1f} MiB",
                              statistics.minor_collections, statistics.full_collections,
                              mib(statistics.nursery_bytes)));
  lines.push_back(fmt::format("  pages: {} dirty, {} hot, {} armed; {} traps",
                              statistics.pages_dirty, statistics.pages_hot, statistics.pages_armed,
                              statistics.traps));
  lines.push_back(terminal.styled(
      Style::faint,
      fmt::format("  a cell: {} KiB. @ allocated into, n filled since the collection, . : + #",
                  per_cell * kBlockBytes / 1024)));
  lines.push_back(
      terminal.styled(Style::faint, "  survivors, by how many; l L large objects; blank: free. ") +
      terminal.styled(Style::yellow, "young ") + terminal.styled(Style::green, "armed ") +
      terminal.styled(Style::cyan, "old"));
  return lines;
}

}  // namespace weir::heap_demo
