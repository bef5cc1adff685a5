#include "runtime/heap/large_objects.hpp"

#include <algorithm>

namespace weir::heap {

Expected<std::uint32_t> LargeObjects::new_record() {
  const bool has_room = young_.make_room();
  if (has_room && first_unused_ != 0) return first_unused_ - 1;
  if (!has_room || !records_.push_back({}))
    return fail(ErrorCode::out_of_memory, "allocating a large object");
  first_unused_ = static_cast<std::uint32_t>(records_.size());
  return first_unused_ - 1;
}

// A hole of up to a block, inside a block that large objects share. First fit from where the last
// full block was, and not further than `far` blocks: a hole missed now is found after the next
// sweep.
std::optional<Address> LargeObjects::find_hole(std::size_t units, std::size_t far) {
  const unsigned per_block = region_->units_per_block();
  if (units >= per_block) return std::nullopt;
  const std::uint32_t wanted = (1u << units) - 1;
  const std::size_t end = std::min(first_hole_ + far, blocks_->frontier());
  for (std::size_t i = first_hole_; i < end; ++i) {
    const BlockIndex index(i);
    const Block& block = region_->block(index);
    if (block.state() != BlockState::large || block.large_units == all_units()) {
      if (i == first_hole_) ++first_hole_;
      continue;
    }
    for (unsigned unit = 0; unit + units <= per_block; ++unit)
      if ((block.large_units & (wanted << unit)) == 0)
        return region_->range_of(index).begin + unit * region_->unit_bytes();
  }
  return std::nullopt;
}

Expected<LargeObjects::Place> LargeObjects::find_place(std::size_t units, std::size_t alignment) {
  constexpr std::size_t kNear = 256;
  const auto place_in_hole = [&](std::size_t far) -> std::optional<Place> {
    if (alignment > region_->unit_bytes()) return std::nullopt;
    const auto hole = find_hole(units, far);
    if (!hole) return std::nullopt;
    const Range pages{*hole, units * region_->unit_bytes()};
    const bool armed = region_->block(region_->block_of(*hole)).armed;
    return Place{*hole, false, armed ? pages : Range()};
  };
  if (const auto place = place_in_hole(kNear)) return *place;
  const unsigned per_block = region_->units_per_block();
  const std::size_t count = (units + per_block - 1) / per_block;
  const std::size_t block_alignment = std::max<std::size_t>(1, alignment / kBlockBytes);
  auto first = blocks_->take(count, BlockState::large, block_alignment);
  if (!first) {  // wherever one is, before out of memory
    if (const auto place = place_in_hole(blocks_->frontier())) return *place;
    return Unexpected(first.error());
  }
  bool pristine = true;
  bool armed = false;
  for (std::size_t i = 0; i < count; ++i) {
    Block& block = region_->block(BlockIndex(first->value + i));
    pristine = pristine && block.pristine;
    block.pristine = false;
    armed = armed || block.armed;
    block.armed = false;
    block.leaf = false;
    block.large_units = 0;
  }
  const Range blocks = {region_->range_of(*first).begin, count * kBlockBytes};
  if (!pristine) region_->metadata().clear(blocks);
  first_hole_ = std::min(first_hole_, first->value + count - 1);
  return Place{blocks.begin, pristine, armed ? blocks : Range()};
}

void LargeObjects::occupy(Address begin, std::size_t units, std::uint32_t owner) {
  for (std::size_t i = 0; i < units; ++i) {
    const Address unit = begin + i * region_->unit_bytes();
    region_->unit_owner(unit) = owner;
    Block& block = region_->block(region_->block_of(unit));
    const std::size_t bit = (unit - unit.align_down(kBlockBytes)) / region_->unit_bytes();
    if (owner != 0)
      block.large_units = static_cast<std::uint16_t>(block.large_units | 1u << bit);
    else
      block.large_units = static_cast<std::uint16_t>(block.large_units & ~(1u << bit));
  }
}

Expected<LargeObjects::Place> LargeObjects::allocate(std::size_t bytes, std::size_t alignment,
                                                     KindTag kind) {
  const std::size_t units = (bytes + region_->unit_bytes() - 1) / region_->unit_bytes();
  auto record = new_record();
  if (!record) return Unexpected(record.error());
  auto place = find_place(units, alignment);
  if (!place) return Unexpected(place.error());

  LargeObject& object = records_[*record];
  first_unused_ = object.next_unused;
  object = {{place->begin, round_to_granules(bytes)}, kind, 0, false, units};
  (void)young_.push_back(*record);  // there is room
  occupy(place->begin, units, *record + 1);
  bytes_ += object.range.size;
  region_->metadata().store(place->begin, kind.start_byte());
  return place;
}

const LargeObject* LargeObjects::find(Address address) const {
  const std::uint32_t owner = region_->unit_owner(address);
  return owner != 0 ? &records_[owner - 1] : nullptr;
}

void LargeObjects::free(LargeObject& object) {
  const Address begin = object.range.begin;
  const std::size_t units = object.units;
  region_->metadata().store(begin, MetadataByte(0));
  occupy(begin, units, 0);
  bytes_ -= object.range.size;
  object = {};
  object.next_unused = first_unused_;
  first_unused_ = static_cast<std::uint32_t>(&object - records_.begin()) + 1;

  const BlockIndex last = region_->block_of(begin + units * region_->unit_bytes() - 1);
  for (BlockIndex index = region_->block_of(begin); index <= last; ++index.value)
    if (region_->block(index).large_units == 0) blocks_->give_back(index, 1);
}

void LargeObjects::free_early(Address start) {
  free(records_[region_->unit_owner(start) - 1]);
  first_hole_ = std::min<std::size_t>(first_hole_, region_->block_of(start).value);
}

std::size_t LargeObjects::judge(LargeObject& object, unsigned epoch, Survived survived) {
  if (object.range.empty()) return 0;
  if (region_->metadata().load(object.range.begin).mark() == epoch) {
    if (!object.armed && !object.kind.is_leaf()) survived(object);
    return 0;
  }
  const std::size_t freed = object.range.size;
  free(object);
  return freed;
}

std::size_t LargeObjects::sweep(unsigned epoch, Survived survived) {
  std::size_t freed = 0;
  for (LargeObject& object : records_) freed += judge(object, epoch, survived);
  young_.clear();
  first_hole_ = 0;
  return freed;
}

std::size_t LargeObjects::sweep_young(unsigned epoch, Survived survived) {
  std::size_t freed = 0;
  for (const std::uint32_t index : young_) freed += judge(records_[index], epoch, survived);
  if (freed != 0) first_hole_ = 0;
  young_.clear();
  return freed;
}

void LargeObjects::for_each(os::FunctionRef<void(const LargeObject&)> visit) const {
  for (const LargeObject& object : records_)
    if (!object.range.empty()) visit(object);
}

}  // namespace weir::heap
