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
                                   (kArenaBytes >> region.unit_shift_) * sizeof(std::uint32_t)};
  std::size_t total = objects;
  std::size_t offsets[3];
  for (std::size_t i = 0; i < 3; ++i) {
    offsets[i] = total;
    total += round_up(arenas * per_arena[i], kHugePage);
  }
  auto memory = os::Mapping::reserve(total, kHugePage);
  if (!memory) return Unexpected(memory.error());
  region.memory_ = std::move(*memory);

  const Address base = region.memory_.range().begin;
  region.objects_ = {base, objects};
  for (std::size_t i = 0; i < 3; ++i) region.tables_[i] = {base + offsets[i], per_arena[i]};
  region.metadata_ = Metadata(region.objects_, region.tables_[0].begin.as<std::uint8_t>());
  region.blocks_ = region.tables_[1].begin.as<Block>();
  region.unit_owners_ = region.tables_[2].begin.as<std::uint32_t>();
  return region;
}

Expected<> Region::commit_next() {
  if (committed_ == block_count())
    return fail(ErrorCode::out_of_memory, "growing a heap", "its address range is used up",
                objects_);
  const std::size_t arena = committed_ / kArenaBlocks;
  for (const Table& table : tables_) {
    const Address first = (table.begin + arena * table.bytes_per_arena).align_down(os::page_size());
    const Address last =
        (table.begin + (arena + 1) * table.bytes_per_arena).align_up(os::page_size());
    if (auto done = os::commit(Range::between(first, last), huge_); !done) return done;
  }
  if (auto done = os::commit({objects_.begin + arena * kArenaBytes, kArenaBytes}, huge_); !done)
    return done;
  committed_ += kArenaBlocks;
  return {};
}

std::size_t Region::metadata_bytes() const {
  std::size_t bytes = 0;
  for (const Table& table : tables_) bytes += committed_ / kArenaBlocks * table.bytes_per_arena;
  return bytes;
}

}  // namespace weir::heap
