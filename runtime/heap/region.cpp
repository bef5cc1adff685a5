#include "runtime/heap/region.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/os/page_size.hpp"

namespace weir::heap {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t to) {
  return Address(bytes).align_up(to).value();
}

}  // namespace

Expected<Region> Region::reserve(std::size_t bytes, os::HugePages huge) {
  if (bytes == 0 || bytes > kObjectMax)
    return fail(ErrorCode::invalid_argument, "reserving a heap's address range",
                "a heap has 1 byte to 64 TiB");
  Region region;
  region.huge_ = huge;
  region.may_be_huge_ = os::may_be_huge(huge);
  region.unit_shift_ = std::max(12u, os::page_shift());
  if (region.unit_shift_ > kBlockShift)
    return fail(ErrorCode::unsupported, "reserving a heap's address range",
                "pages of more than 64 KiB");

  const std::size_t objects = round_up(bytes, kArenaBytes);
  const std::size_t arenas = objects / kArenaBytes;
  const std::size_t per_arena[] = {kArenaBytes / kGranuleBytes, kArenaBlocks * sizeof(Block),
                                   (kArenaBytes >> region.unit_shift_) * sizeof(std::uint32_t),
                                   kArenaBytes >> barrier::kCardShift};
  std::size_t total = objects;  // the cards are apart
  std::size_t offsets[of_cards];
  for (std::size_t i = 0; i < of_cards; ++i) {
    offsets[i] = total;
    total += round_up(arenas * per_arena[i], kHugePage);
  }
  auto memory = os::Mapping::reserve_apart(total, kHugePage);
  if (!memory) return Unexpected(memory.error());
  region.memory_ = std::move(*memory);
  // Few need them, and where address space is scarce they are the first to go.
  if (auto cards = os::Mapping::reserve(kAddressSpace.size >> barrier::kCardShift, kHugePage))
    region.cards_ = std::move(*cards);

  const Address base = region.memory_.range().begin;
  region.objects_ = {base, objects};
  for (std::size_t i = 0; i < of_cards; ++i) region.tables_[i] = {base + offsets[i], per_arena[i]};
  if (const auto cards = region.cards(); cards.cards != nullptr)
    region.tables_[of_cards] = {Address(cards.card_of(base)), per_arena[of_cards]};
  region.metadata_ =
      Metadata(region.objects_, region.tables_[of_granules].begin.as<std::uint8_t>());
  region.blocks_ = region.tables_[of_blocks].begin.as<Block>();
  region.unit_owners_ = region.tables_[of_units].begin.as<std::uint32_t>();
  return region;
}

Range Region::Table::of_arenas(std::size_t first, std::size_t count) const {
  const Address from = begin + first * bytes_per_arena;
  return Range::between(from.align_down(os::page_size()),
                        (from + count * bytes_per_arena).align_up(os::page_size()));
}

Expected<> Region::commit_next() {
  if (committed_ == block_count())
    return fail(ErrorCode::out_of_memory, "growing a heap", "its address range is used up",
                objects_);
  const std::size_t arena = committed_ / kArenaBlocks;
  for (std::size_t i = 0; i < tables_in_use_; ++i)
    if (auto done = commit_table(i, arena); !done) return done;
  if (auto done = os::commit({objects_.begin + arena * kArenaBytes, kArenaBytes}, huge_); !done)
    return done;
  committed_ += kArenaBlocks;
  return {};
}

Expected<> Region::commit_cards() {
  if (tables_in_use_ == table_count) return {};
  if (cards().cards == nullptr)
    return fail(ErrorCode::out_of_memory, "keeping cards",
                "there was no address space for a byte to each 512 of it");
  for (std::size_t arena = 0; arena < committed_ / kArenaBlocks; ++arena)
    if (auto done = commit_table(of_cards, arena); !done) return done;
  tables_in_use_ = table_count;
  return {};
}

Expected<> Region::commit_table(std::size_t index, std::size_t arena) {
  const Table& table = tables_[index];
  const os::HugePages huge = arena < kArenasInSmallPages ? os::HugePages::never : huge_;
  if (auto done = os::commit(table.of_arenas(arena, 1), huge); !done) return done;
  if (index != of_granules || arena != kArenasInSmallPages) return {};
  return os::commit(table.of_arenas(0, arena), huge_);
}

std::size_t Region::metadata_bytes(std::size_t blocks) const {
  if (blocks == 0) return 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < tables_in_use_; ++i)
    bytes += round_up(blocks * (tables_[i].bytes_per_arena / kArenaBlocks), os::page_size());
  if (huge_ == os::HugePages::never || blocks <= kArenasInSmallPages * kArenaBlocks) return bytes;
  return bytes + (round_up(blocks, kArenaBlocks) - blocks) * (kBlockBytes / kGranuleBytes);
}

void Region::discard_metadata(Range blocks) const {
  const Range bytes =
      Range::between(Address(metadata_.at(blocks.begin)),
                     Address(metadata_.at(blocks.begin)) + blocks.size / kGranuleBytes);
  const Address first = bytes.begin.align_up(os::page_size());
  const Address last = bytes.end().align_down(os::page_size());
  if (first >= last) return metadata_.clear(blocks);
  std::memset(bytes.begin.as(), 0, first - bytes.begin);
  std::memset(last.as(), 0, bytes.end() - last);
  os::discard(Range::between(first, last));
}

}  // namespace weir::heap
