#include "runtime/heap/free_runs.hpp"

#include <algorithm>

namespace weir::heap {

SweepResult sweep_block(const Metadata& metadata, Range block, unsigned epoch, Range keep) {
  constexpr std::uint8_t kFreeStart = MetadataByte::free_start().value();
  SweepResult result{.live_granules = kBlockGranules};
  std::uint8_t* const bytes = metadata.at(block.begin);
  const std::size_t keep_begin =
      keep.empty() ? kBlockGranules : (keep.begin - block.begin) / kGranuleBytes;
  const std::size_t keep_end =
      keep.empty() ? kBlockGranules : (keep.end() - block.begin) / kGranuleBytes;

  std::size_t run = kBlockGranules;  // where the current one began; kBlockGranules: none
  const auto end_run = [&](std::size_t end) {
    if (run == kBlockGranules) return;
    result.live_granules -= end - run;
    result.longest_run = std::max(result.longest_run, end - run);
    run = kBlockGranules;
  };
  for (std::size_t group = 0; group < kBlockGranules; group += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes + group, sizeof word);
    for (std::uint64_t starts = word & 0x8080808080808080u; starts != 0; starts &= starts - 1) {
      const std::size_t at = group + static_cast<unsigned>(std::countr_zero(starts)) / 8;
      const MetadataByte byte(bytes[at]);
      if ((byte.is_object() && byte.mark() == epoch) || (at >= keep_begin && at < keep_end)) {
        end_run(at);
      } else if (run == kBlockGranules) {
        run = at;
        bytes[at] = kFreeStart;
      } else {
        bytes[at] = 0;
      }
    }
  }
  end_run(kBlockGranules);
  return result;
}

Range next_free_run(const Metadata& metadata, Address from, Address block_end, std::size_t bytes) {
  while (from < block_end) {
    const MetadataByte byte = metadata.load(from);
    const Address next = metadata.next_start(from, block_end);
    if (byte.is_start() && !byte.is_object() && next - from >= bytes)
      return Range::between(from, next);
    from = next;
  }
  return {};
}

}  // namespace weir::heap
