#include "runtime/heap/region.hpp"

#include <algorithm>

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
  region.unit_shift_ = std::max(12u, os::page_shift());
  if (region.unit_shift_ > kBlockShift)
    return fail(ErrorCode::unsupported, "reserving a heap's address range",
                "pages of more than 64 KiB");

  const std::size_t objects = round_up(bytes, kArenaBytes);
  const std::size_t arenas = objects / kArenaBytes;
  const std::size_t per_arena[] = {kArenaBytes / kGranuleBytes, kArenaBlocks * sizeof(Block),
                                   (kArenaBytes >> region.unit_shift_) * sizeof(std::uint32_t),
                                   kArenaBytes >> barrier::kCardShift};
  std::size_t total = objects;
  std::size_t offsets[table_count];
  for (std::size_t i = 0; i < table_count; ++i) {
    offsets[i] = total;
    total += round_up(arenas * per_arena[i], kHugePage);
  }
  auto memory = os::Mapping::reserve(total, kHugePage);
  if (!memory) return Unexpected(memory.error());
  region.memory_ = std::move(*memory);

  const Address base = region.memory_.range().begin;
  region.objects_ = {base, objects};
  for (std::size_t i = 0; i < table_count; ++i)
    region.tables_[i] = {base + offsets[i], per_arena[i]};
  region.metadata_ =
      Metadata(region.objects_, region.tables_[of_granules].begin.as<std::uint8_t>());
  region.blocks_ = region.tables_[of_blocks].begin.as<Block>();
  region.unit_owners_ = region.tables_[of_units].begin.as<std::uint32_t>();
  return region;
}

Expected<> Region::commit_next() {
  if (committed_ == block_count())
    return fail(ErrorCode::out_of_memory, "growing a heap", "its address range is used up",
                objects_);
  const std::size_t arena = committed_ / kArenaBlocks;
  for (std::size_t i = 0; i < tables_in_use_; ++i)
    if (auto done = commit_table(i, arena, arena + 1); !done) return done;
  if (auto done = os::commit({objects_.begin + arena * kArenaBytes, kArenaBytes}, huge_); !done)
    return done;
  committed_ += kArenaBlocks;
  return {};
}

Expected<> Region::commit_cards() {
  const std::size_t arenas = committed_ / kArenaBlocks;
  if (tables_in_use_ == table_count) return {};
  if (arenas != 0)
    if (auto done = commit_table(of_cards, 0, arenas); !done) return done;
  tables_in_use_ = table_count;
  return {};
}

// The part that belongs to arenas [from, to).
Expected<> Region::commit_table(std::size_t index, std::size_t from, std::size_t to) {
  const Table& table = tables_[index];
  const Address first = (table.begin + from * table.bytes_per_arena).align_down(os::page_size());
  const Address last = (table.begin + to * table.bytes_per_arena).align_up(os::page_size());
  return os::commit(Range::between(first, last), huge_);
}

std::size_t Region::metadata_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < tables_in_use_; ++i)
    bytes += committed_ / kArenaBlocks * tables_[i].bytes_per_arena;
  return bytes;
}

}  // namespace weir::heap
