#include "runtime/heap/space.hpp"

#include <algorithm>
#include <cstring>

namespace weir::heap {
namespace {

constexpr std::size_t to_blocks(std::size_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes;
}

}  // namespace

Expected<std::unique_ptr<Space>> Space::create(const Options& options) {
  auto region = Region::reserve(options.reserved, options.huge);
  if (!region) return Unexpected(region.error());
  std::unique_ptr<Space> space(new Space(std::move(*region), options.poison));
  auto blocks = Blocks::create(space->region_);
  if (!blocks) return Unexpected(blocks.error());
  space->blocks_ = std::move(*blocks);
  if (auto done = space->set_maximum(options.maximum); !done) return Unexpected(done.error());
  return space;
}

Space::Space(Region region, bool poison)
    : region_(std::move(region)), large_(region_, blocks_), poison_(poison) {}

Expected<> Space::set_maximum(std::size_t bytes) {
  const std::size_t blocks = to_blocks(bytes);
  if (blocks > region_.block_count())
    return fail(ErrorCode::invalid_argument, "setting a heap's maximum",
                "more than the address range that it was created with");
  if (blocks < blocks_.in_use())
    return fail(ErrorCode::invalid_argument, "setting a heap's maximum",
                "less than what is in use");
  blocks_.set_limit(blocks);
  return {};
}

void Space::spend(std::size_t bytes) {
  budget_ -= std::min(budget_, bytes);
  used_ += bytes;
}

void Space::sweep(BlockIndex index, Range keep) {
  Block& block = region_.block(index);
  const Range range = region_.range_of(index);
  const SweepResult result = sweep_block(metadata(), range, epoch_, keep);
  block.longest_run = static_cast<std::uint16_t>(result.longest_run);
  block.free_granules = static_cast<std::uint16_t>(kBlockGranules - result.live_granules);
  if (poison_) {
    for (Range run = next_free_run(metadata(), range.begin, range.end(), kGranuleBytes);
         !run.empty(); run = next_free_run(metadata(), run.end(), range.end(), kGranuleBytes))
      if (!keep.contains(run)) std::memset(run.begin.as(), kPoison, run.size);
  }
}

std::optional<BlockIndex> Space::take_with_holes(bool leaf, std::size_t granules) {
  for (;;) {
    std::optional<BlockIndex> index;
    bool is_swept = false;
    {
      const std::lock_guard guard(lock_);
      index = blocks_.next_with_holes(leaf, granules);
      if (!index) return std::nullopt;
      is_swept = region_.block(*index).state() == BlockState::swept;
      region_.block(*index).become(BlockState::owned);
    }
    Block& block = region_.block(*index);
    if (!is_swept) sweep(*index, {});
    const std::lock_guard guard(lock_);
    if (block.longest_run >= granules) {
      spend(std::size_t{block.free_granules} * kGranuleBytes);
      return index;
    }
    block.become(BlockState::swept);
  }
}

tl::expected<BlockIndex, Refusal> Space::take_block(bool leaf, std::size_t bytes, bool holes,
                                                    bool whatever_the_budget) {
  {
    const std::lock_guard guard(lock_);
    if (budget_ < bytes && !whatever_the_budget) return tl::unexpected(Refusal::budget_spent);
  }
  if (holes)
    if (const auto index = take_with_holes(leaf, bytes / kGranuleBytes)) return *index;
  {
    const std::lock_guard guard(lock_);
    auto taken = blocks_.take(1, BlockState::owned);
    if (!taken) {
      finish_sweeping();
      taken = blocks_.take(1, BlockState::owned);
    }
    if (taken) {
      spend(kBlockBytes);
      Block& block = region_.block(*taken);
      block.leaf = leaf;
      block.longest_run = kBlockGranules;
      metadata().store(region_.range_of(*taken).begin, MetadataByte::free_start());
      return *taken;
    }
    blocks_.restart();  // holes that were passed over for larger wishes
  }
  if (const auto index = take_with_holes(leaf, bytes / kGranuleBytes)) return *index;
  return tl::unexpected(Refusal::out_of_memory);
}

tl::expected<Address, Refusal> Space::allocate_large(std::size_t bytes, std::size_t alignment,
                                                     KindTag kind, bool whatever_the_budget) {
  Expected<LargeObjects::Place> place;
  {
    const std::lock_guard guard(lock_);
    if (budget_ < bytes && !whatever_the_budget) return tl::unexpected(Refusal::budget_spent);
    place = large_.allocate(bytes, alignment, kind);
    if (!place) {
      finish_sweeping();
      place = large_.allocate(bytes, alignment, kind);
    }
    if (!place) return tl::unexpected(Refusal::out_of_memory);
    spend(bytes);
    allocated_large_ += bytes;
  }
  if (!place->is_zeroed) std::memset(place->begin.as(), 0, bytes);
  return place->begin;
}

void Space::release_block(BlockIndex index) {
  const std::lock_guard guard(lock_);
  region_.block(index).become(BlockState::filled);
}

std::optional<Found> Space::find(Address address) const {
  if (!committed().contains(address)) return std::nullopt;
  const BlockIndex index = region_.block_of(address);
  const Block& block = region_.block(index);
  if (block.state() == BlockState::large) {
    const LargeObject* large = large_.find(address);
    if (large == nullptr || !large->range.contains(address)) return std::nullopt;
    return Found{large->range, large->kind};
  }
  if (!block.has_small_objects()) return std::nullopt;
  const Range range = region_.range_of(index);
  const Address start = metadata().start_at_or_before(address, range.begin);
  if (start == Address() || !metadata().load(start).is_object()) return std::nullopt;
  if (block.state() == BlockState::unswept && !is_marked(start)) return std::nullopt;
  return describe(start);
}

Found Space::describe(Address start) const {
  const BlockIndex index = region_.block_of(start);
  if (region_.block(index).state() == BlockState::large) {
    const LargeObject* large = large_.find(start);
    return {large->range, large->kind};
  }
  const Address end = metadata().next_start(start, region_.range_of(index).end());
  const std::uint8_t number =
      end - start > kGranuleBytes ? metadata().kind_number(start) : std::uint8_t{0};
  return {Range::between(start, end), KindTag::of(metadata().load(start).trace_class(), number)};
}

void Space::for_each_object(os::FunctionRef<void(const Found&)> visit) const {
  for (std::size_t i = 0; i < blocks_.frontier(); ++i) {
    if (!region_.block(BlockIndex(i)).has_small_objects()) continue;
    const Range range = region_.range_of(BlockIndex(i));
    for (Address at = range.begin; at < range.end(); at = metadata().next_start(at, range.end()))
      if (metadata().load(at).is_object()) visit(describe(at));
  }
  large_.for_each([&](const LargeObject& large) { visit({large.range, large.kind}); });
}

void Space::finish_sweeping() {
  for (std::size_t i = 0; i < blocks_.frontier(); ++i) {
    Block& block = region_.block(BlockIndex(i));
    if (block.state() != BlockState::unswept) continue;
    sweep(BlockIndex(i), {});
    if (block.free_granules == kBlockGranules)
      blocks_.give_back(BlockIndex(i), 1);
    else
      block.become(BlockState::swept);
  }
}

void Space::end_marking(std::size_t live) {
  for (std::size_t i = 0; i < blocks_.frontier(); ++i) {
    Block& block = region_.block(BlockIndex(i));
    if (block.state() == BlockState::filled || block.state() == BlockState::swept)
      block.become(BlockState::unswept);
  }
  large_.sweep(epoch_);
  blocks_.restart();
  used_ = live;
}

std::size_t Space::trim() {
  finish_sweeping();
  return blocks_.trim();
}

}  // namespace weir::heap
