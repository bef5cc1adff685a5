#include "runtime/heap/large_objects.hpp"

#include <algorithm>

namespace weir::heap {

Expected<LargeObjects> LargeObjects::create(Region& region, Blocks& blocks) {
  auto holes = UnitHoles::create(region.block_count(), region.units_per_block());
  if (!holes) return Unexpected(holes.error());
  LargeObjects large;
  large.region_ = &region;
  large.blocks_ = &blocks;
  large.holes_ = std::move(*holes);
  return large;
}

Expected<std::uint32_t> LargeObjects::new_record() {
  const bool has_room = young_.make_room();
  if (has_room && first_unused_ != 0) return first_unused_ - 1;
  if (!has_room || !records_.push_back({}))
    return fail(ErrorCode::out_of_memory, "allocating a large object");
  first_unused_ = static_cast<std::uint32_t>(records_.size());
  return first_unused_ - 1;
}

Expected<LargeObjects::Place> LargeObjects::find_place(std::size_t units, std::size_t alignment) {
  const auto used_units = [this](BlockIndex index) { return region_->block(index).large_units; };
  const std::size_t unit_alignment = std::max<std::size_t>(1, alignment / region_->unit_bytes());
  if (const auto hole = holes_.find(units, unit_alignment, used_units)) {
    const Address begin = region_->range_of(hole->block).begin + hole->unit * region_->unit_bytes();
    const bool armed = region_->block(hole->block).armed;
    return Place{begin, false, armed ? Range{begin, units * region_->unit_bytes()} : Range()};
  }
  const unsigned per_block = region_->units_per_block();
  const std::size_t count = (units + per_block - 1) / per_block;
  const std::size_t block_alignment = std::max<std::size_t>(1, alignment / kBlockBytes);
  auto first = blocks_->take(count, BlockState::large, block_alignment);
  if (!first) return Unexpected(first.error());
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
  return Place{blocks.begin, pristine, armed ? blocks : Range()};
}

void LargeObjects::occupy(Address begin, std::size_t units, std::uint32_t owner) {
  const std::size_t unit_bytes = region_->unit_bytes();
  for (std::size_t i = 0; i < units; ++i) region_->unit_owner(begin + i * unit_bytes) = owner;
  const Range range{begin, units * unit_bytes};
  for (BlockIndex index = region_->block_of(begin); index <= region_->block_of(range.end() - 1);
       ++index.value) {
    Block& block = region_->block(index);
    const Range part = range.intersection(region_->range_of(index));
    const std::size_t first = (part.begin - region_->range_of(index).begin) / unit_bytes;
    const auto mask = ((1u << part.size / unit_bytes) - 1) << first;
    const UnitMask before = block.large_units;
    block.large_units = static_cast<UnitMask>(owner != 0 ? before | mask : before & ~mask);
    holes_.changed(index, before, block.large_units);
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
  if (!object.is_listed) (void)young_.push_back(*record);  // there is room
  object = {{place->begin, round_to_granules(bytes)}, kind, 0, false, true, units};
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
  const bool is_listed = object.is_listed;
  object = {};
  object.is_listed = is_listed;
  object.next_unused = first_unused_;
  first_unused_ = static_cast<std::uint32_t>(&object - records_.begin()) + 1;

  const BlockIndex last = region_->block_of(begin + units * region_->unit_bytes() - 1);
  for (BlockIndex index = region_->block_of(begin); index <= last; ++index.value)
    if (region_->block(index).large_units == 0) blocks_->give_back(index, 1);
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
  for (LargeObject& object : records_) {
    object.is_listed = false;
    freed += judge(object, epoch, survived);
  }
  young_.clear();
  return freed;
}

std::size_t LargeObjects::sweep_young(unsigned epoch, Survived survived) {
  std::size_t freed = 0;
  for (const std::uint32_t index : young_) {
    records_[index].is_listed = false;
    freed += judge(records_[index], epoch, survived);
  }
  young_.clear();
  return freed;
}

void LargeObjects::for_each(os::FunctionRef<void(const LargeObject&)> visit) const {
  for (const LargeObject& object : records_)
    if (!object.range.empty()) visit(object);
}

}  // namespace weir::heap
