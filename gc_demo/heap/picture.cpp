#include "gc_demo/heap/picture.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weir::heap_demo {
namespace {

constexpr std::size_t kColumns = 64;
constexpr std::size_t kRows = 16;
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

Cell cell_of(const weir_block* first, const weir_block* past) {
  std::size_t used = 0;
  for (const weir_block* block = first; block < past; ++block) used += block->used_bytes;
  const std::size_t percent = 100 * used / (static_cast<std::size_t>(past - first) * kBlockBytes);
  switch (state_of(first, past)) {
    case WEIR_BLOCK_FREE:
      return {' ', Style::plain};
    case WEIR_BLOCK_OWNED:
      return {'@', Style::red};
    case WEIR_BLOCK_FILLED:
      return {'n', Style::yellow};
    case WEIR_BLOCK_UNSWEPT:
      return {fullness(percent), Style::cyan};
    case WEIR_BLOCK_SWEPT:
      return {fullness(percent), Style::green};
    case WEIR_BLOCK_LARGE:
      return {percent > 90 ? 'L' : 'l', Style::blue};
  }
  return {'?', Style::plain};
}

std::string bar(std::size_t part, std::size_t whole) {
  const std::size_t filled = whole == 0 ? 0 : std::min(kColumns, part * kColumns / whole);
  return std::string(filled, '#') + std::string(kColumns - filled, '-');
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
  std::size_t used = 0;
  for (const weir_block& block : blocks) used += block.used_bytes;
  lines.push_back(fmt::format("  [{}] {:.0f}/{:.0f} MiB", bar(used, blocks.size() * kBlockBytes),
                              static_cast<double>(used) / (1 << 20),
                              static_cast<double>(statistics.heap_bytes) / (1 << 20)));
  lines.push_back(terminal.styled(
      Style::faint,
      fmt::format("  a cell: {} KiB. @ allocated into, n filled since the collection,",
                  per_cell * kBlockBytes / 1024)));
  lines.push_back(terminal.styled(
      Style::faint, "  . : + # survivors, by how many; l L large objects; blank: free"));
  return lines;
}

}  // namespace weir::heap_demo
