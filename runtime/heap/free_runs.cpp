#include "runtime/heap/free_runs.hpp"

#include <algorithm>

namespace weir::heap {

namespace {

// Of eight bytes at once: a byte's bit 7 says something about it.
constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr std::uint64_t kStarts = Metadata::kStarts;
constexpr std::size_t kGroup = Metadata::kGroup;
static_assert(MetadataByte::free_start().value() == MetadataByte::kStart);

// A line of metadata at a time: where objects were allocated and died in one cycle, no byte of it
// has a mark at all.
bool has_survivors(const Metadata& metadata, Range block, unsigned epoch) {
  constexpr std::size_t kGroups = 8;
  for (Address at = block.begin; at < block.end(); at = at + kGroups * kGroup * kGranuleBytes) {
    std::uint64_t groups[kGroups];
    std::uint64_t any = 0;
    for (std::size_t i = 0; i < kGroups; ++i)
      any |= groups[i] = metadata.load_group(at + i * kGroup * kGranuleBytes);
    if ((any & kOnes * MetadataByte::kMarkMask) == 0) continue;
    for (const std::uint64_t bytes : groups)
      if (Metadata::marked_starts(bytes, epoch) != 0) return true;
  }
  return false;
}

// The bytes of [begin, end) among the eight from `group` on.
std::uint64_t bytes_within(std::size_t group, std::size_t begin, std::size_t end) {
  if (end <= group || begin >= group + 8) return 0;
  const std::size_t below = begin > group ? begin - group : 0;
  const std::size_t above = end < group + 8 ? group + 8 - end : 0;
  return (~std::uint64_t{0} << (below * 8)) & (~std::uint64_t{0} >> (above * 8));
}

constexpr std::uint64_t above_lowest_bit(std::uint64_t bits) {
  return ~(bits ^ (bits - 1));
}

std::size_t lowest_byte(std::uint64_t bits) {
  return static_cast<unsigned>(std::countr_zero(bits)) / 8;
}

}  // namespace

SweepResult sweep_block(const Metadata& metadata, Range block, unsigned epoch, Range keep) {
  if (keep.empty() && !has_survivors(metadata, block, epoch)) {
    metadata.clear(block);
    metadata.store(block.begin, MetadataByte::free_start());
    return {.usable_granules = kBlockGranules, .longest_run = kBlockGranules};
  }
  SweepResult result;
  const std::size_t keep_begin = keep.empty() ? 0 : (keep.begin - block.begin) / kGranuleBytes;
  const std::size_t keep_end = keep.empty() ? 0 : (keep.end() - block.begin) / kGranuleBytes;

  std::size_t run = kBlockGranules;  // where the current one began; kBlockGranules: none
  const auto end_run = [&](std::size_t end) {
    const std::size_t length = end - run;
    if (length >= kSmallestHole / kGranuleBytes) result.usable_granules += length;
    result.longest_run = std::max(result.longest_run, length);
    run = kBlockGranules;
  };
  for (std::size_t group = 0; group < kBlockGranules; group += kGroup) {
    const Address at = block.begin + group * kGranuleBytes;
    const std::uint64_t word = metadata.load_group(at);
    const std::uint64_t starts = word & kStarts;
    if (starts == 0) continue;
    const std::uint64_t live =
        (Metadata::marked_starts(word, epoch) | bytes_within(group, keep_begin, keep_end)) & starts;
    const std::uint64_t dead = starts & ~live;
    std::uint64_t begun = 0;
    for (std::uint64_t ahead = ~std::uint64_t{0};;) {
      if (run == kBlockGranules) {
        const std::uint64_t next = dead & ahead;
        if (next == 0) break;
        run = group + lowest_byte(next);
        begun |= next & -next;
        ahead = above_lowest_bit(next);
      }
      const std::uint64_t next = live & ahead;
      if (next == 0) break;
      end_run(group + lowest_byte(next));
      ahead = above_lowest_bit(next);
    }
    if (dead == 0) continue;
    metadata.store_group(at, (word & ~((dead >> 7) * 0xff)) | begun);
  }
  if (run != kBlockGranules) end_run(kBlockGranules);
  return result;
}

// Free starts are looked for eight granules at a time, past whatever lives in between.
Range next_free_run(const Metadata& metadata, Address from, Address block_end, std::size_t bytes) {
  constexpr std::size_t kGroupBytes = kGroup * kGranuleBytes;
  Address group = from.align_down(kGroupBytes);
  std::uint64_t mask = ~std::uint64_t{0} << ((from - group) / kGranuleBytes * 8);
  for (; group < block_end; group = group + kGroupBytes, mask = ~std::uint64_t{0}) {
    // Bytes that are exactly a free start: bit 7, and nothing below it carries into bit 7.
    const std::uint64_t word = metadata.load_group(group);
    std::uint64_t free = word & kStarts & ~((word & ~kStarts) + (kOnes * 0x7f)) & mask;
    for (; free != 0; free &= free - 1) {
      const Address begin = group + lowest_byte(free) * kGranuleBytes;
      const Address end = metadata.next_start(begin, block_end);
      if (begin < block_end && end - begin >= bytes) return Range::between(begin, end);
    }
  }
  return {};
}

}  // namespace weir::heap
