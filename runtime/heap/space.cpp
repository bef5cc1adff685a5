#include "runtime/heap/space.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/faults/fault_server.hpp"
#include "runtime/os/last_words.hpp"

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
  auto large = LargeObjects::create(space->region_, space->blocks_);
  if (!large) return Unexpected(large.error());
  space->large_ = std::move(*large);
  space->open_pagemap();
  if (auto done = space->set_maximum(options.maximum); !done) return Unexpected(done.error());
  return space;
}

Expected<> Space::watch(barrier::Barrier& barrier, bool may_measure) {
  auto remembered = RememberedSet::create(region_, barrier, may_measure);
  if (!remembered) return Unexpected(remembered.error());
  remembered_ = std::move(*remembered);
  return {};
}

Expected<> Space::fill_by(faults::FaultServer& server) {
  auto zeros = ZeroSource::create(region_.range().size);
  if (!zeros) return Unexpected(zeros.error());
  if (auto served = server.serve_missing(region_.range(), **zeros); !served) return served;
  zeros_ = std::move(*zeros);
  server_ = &server;
  return {};
}

Space::~Space() {
  // Nothing is filled for the sake of memory that goes.
  if (server_ != nullptr)
    (void)server_->release(region_.range(), faults::FaultServer::Unfilled::abandon);
}

Space::Space(Region region, bool poison) : region_(std::move(region)), poison_(poison) {}

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

void Space::open_pagemap() {
  pagemap_ = os::Pagemap();  // first: nobody asks the old one any more
  if (auto pagemap = os::Pagemap::open()) pagemap_ = std::move(*pagemap);
}

void Space::for_each_populated(Range range, os::FunctionRef<void(Range)> visit) const {
  constexpr std::size_t kWorthAsking = std::size_t{1} << 20;
  using enum os::PageCategory;
  bool is_known = false;
  if (range.size >= kWorthAsking) {
    const Range pages = Range::between(range.begin.align_down(os::page_size()),
                                       range.end().align_up(os::page_size()));
    os::PageRegion buffer[64];
    os::ScanQuery query{};
    query.any_of = query.report = {present, swapped};
    query.check_wp_async = false;
    is_known = pagemap_
                   .scan(pages, query, buffer,
                         [&](Range run, os::PageCategories) { visit(run.intersection(range)); })
                   .has_value();
  }
  if (!is_known) visit(range);
}

void Space::spend(std::size_t bytes) {
  budget_ -= std::min(budget_, bytes);
  used_ += bytes;
}

void Space::open(BlockIndex index) {
  Block& block = region_.block(index);
  block.armed = false;
  if (block.young) return;
  if (!young_blocks_.push_back(index)) os::last_words("no memory for the list of young blocks");
  block.young = true;
  block.forget_survivors();
}

Range Space::open_ahead(BlockIndex index, bool is_free) {
  constexpr std::size_t kAhead = 8;  // blocks for one system call
  const bool was_armed = region_.block(index).armed;
  open(index);
  if (!was_armed) return {};
  BlockIndex end(index.value + 1);
  for (; end.value < blocks_.frontier() && end.value - index.value < kAhead; ++end.value) {
    Block& next = region_.block(end);
    if (!next.armed) break;
    if (next.state() == BlockState::free) {
      next.armed = false;
    } else if (!is_free &&
               (next.state() == BlockState::unswept || next.state() == BlockState::swept)) {
      open(end);
      next.has_old = true;
    } else {
      break;
    }
  }
  return Range::between(region_.range_of(index).begin, region_.range_of(end).begin);
}

void Space::find_free_runs(BlockIndex index, Range keep) {
  Block& block = region_.block(index);
  const SweepResult result = sweep_block(metadata(), region_.range_of(index), epoch_, keep);
  block.longest_run = static_cast<std::uint16_t>(result.longest_run);
  block.usable_granules = static_cast<std::uint16_t>(result.usable_granules);
}

void Space::poison(BlockIndex index, Range keep) {
  if (!poison_) return;
  const Range range = region_.range_of(index);
  for (Range run = next_free_run(metadata(), range.begin, range.end(), kGranuleBytes); !run.empty();
       run = next_free_run(metadata(), run.end(), range.end(), kGranuleBytes))
    if (!keep.contains(run)) std::memset(run.begin.as(), kPoison, run.size);
}

void Space::sweep(BlockIndex index, Range keep) {
  find_free_runs(index, keep);
  poison(index, keep);
}

std::optional<BlockIndex> Space::take_whole(bool leaf, Memory memory) {
  BlockIndex index;
  Range to_disarm;
  {
    const std::lock_guard guard(lock_);
    if (memory == Memory::used && !blocks_.has_free()) return std::nullopt;
    auto taken = blocks_.take(1, BlockState::owned);
    if (!taken && memory == Memory::fresh) {
      finish_sweeping();
      taken = blocks_.take(1, BlockState::owned);
    }
    if (!taken) {
      if (memory == Memory::fresh) blocks_.restart();  // holes that were passed over
      return std::nullopt;
    }
    index = *taken;
    spend(kBlockBytes);
    to_disarm = open_ahead(index, true);
    Block& block = region_.block(index);
    block.has_old = false;
    block.leaf = leaf;
    block.longest_run = kBlockGranules;
    metadata().store(region_.range_of(index).begin, MetadataByte::free_start());
  }
  disarm(to_disarm);
  return index;
}

// `most`: blocks that are looked at in vain.
std::optional<BlockIndex> Space::take_with_holes(bool leaf, std::size_t granules, Holes holes,
                                                 std::size_t most) {
  const std::size_t least = holes == Holes::nearly_all        ? kBlockGranules / 8 * 7
                            : holes == Holes::enough && !leaf ? kBlockGranules / 4
                                                              : 0;
  for (std::size_t tries = 0; tries < most; ++tries) {
    std::optional<BlockIndex> index;
    bool is_swept = false;
    {
      const std::lock_guard guard(lock_);
      index = holes == Holes::nearly_all ? blocks_.next_with_new_holes(leaf, granules)
                                         : blocks_.next_with_any_hole(leaf, granules);
      if (!index) return std::nullopt;
      is_swept = region_.block(*index).state() == BlockState::swept;
      region_.block(*index).become(BlockState::owned);
    }
    Block& block = region_.block(*index);
    if (!is_swept) find_free_runs(*index, {});
    Range to_disarm;
    {
      const std::lock_guard guard(lock_);
      if (block.longest_run < granules || block.usable_granules < least) {
        block.become(BlockState::swept);
        continue;
      }
      spend(std::size_t{block.usable_granules} * kGranuleBytes);
      to_disarm = open_ahead(*index, false);
      block.has_old = block.usable_granules != kBlockGranules;
    }
    disarm(to_disarm);
    poison(*index, {});
    return index;
  }
  return std::nullopt;
}

tl::expected<BlockIndex, Refusal> Space::take_block(bool leaf, std::size_t bytes,
                                                    bool whatever_the_budget) {
  // For so long others wait; what is not found now is found next time.
  constexpr std::size_t kTries = 128;
  // A larger object rarely fits; what it does not take, small ones will.
  constexpr std::size_t kFewTries = 16;
  const std::size_t all = region_.block_count();
  const std::size_t granules = bytes / kGranuleBytes;
  const bool is_medium = bytes > kMedium;
  bool may_grow = false;
  {
    const std::lock_guard guard(lock_);
    if (budget_ < bytes && !whatever_the_budget) return tl::unexpected(Refusal::budget_spent);
    may_grow = blocks_.frontier() * kBlockBytes < size_;
  }
  std::optional<BlockIndex> index = take_whole(leaf, Memory::used);
  if (!index && !is_medium) index = take_with_holes(leaf, granules, Holes::nearly_all, kTries);
  if (!index && may_grow) index = take_whole(leaf, Memory::fresh);
  if (!index)
    index = take_with_holes(leaf, granules, Holes::enough, is_medium ? kFewTries : kTries);
  if (!index) index = take_whole(leaf, Memory::fresh);
  if (!index) index = take_with_holes(leaf, granules, Holes::any, all);
  if (!index) return tl::unexpected(Refusal::out_of_memory);
  return *index;
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
    const BlockIndex last = region_.block_of(place->begin + (bytes - 1));
    for (BlockIndex index = region_.block_of(place->begin); index <= last; ++index.value) {
      const bool armed = region_.block(index).armed;  // other objects in it stay so
      open(index);
      region_.block(index).armed = armed;
    }
  }
  disarm(place->armed);
  if (!place->is_zeroed) std::memset(place->begin.as(), 0, bytes);
  return place->begin;
}

void Space::release_block(BlockIndex index) {
  const std::lock_guard guard(lock_);
  region_.block(index).become(BlockState::filled);
}

std::size_t Space::free_early(Address start) {
  const Found object = describe(start);
  if (region_.block(region_.block_of(start)).state() == BlockState::large) {
    const bool is_young = metadata().load(start).mark() == 0;
    large_.free_early(start);
    if (is_young) budget_ += object.range.size;
    used_ -= std::min(used_, object.range.size);
    return is_young ? 0 : object.range.size;
  }
  // A free run of its own, until its block is swept.
  if (object.range.size > kGranuleBytes) metadata().store(start + kGranuleBytes, MetadataByte(0));
  metadata().store(start, MetadataByte::free_start());
  return 0;  // until its block is swept
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

Found Space::describe_large(Address start) const {
  const LargeObject* large = large_.find(start);
  return {large->range, large->kind};
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
    find_free_runs(BlockIndex(i), {});
    if (poison_) {
      const bool armed = block.armed;
      open(BlockIndex(i));
      block.has_old = true;
      if (armed) disarm(region_.range_of(BlockIndex(i)));
      poison(BlockIndex(i), {});
    }
    if (block.usable_granules == kBlockGranules)
      blocks_.give_back(BlockIndex(i), 1);
    else
      block.become(BlockState::swept);
  }
}

void Space::begin_marking() {
  epoch_ = next_epoch(epoch_);
  for (std::size_t i = 0; i < blocks_.frontier(); ++i)
    region_.block(BlockIndex(i)).forget_survivors();
}

void Space::undo_marking() {
  const unsigned before = previous_epoch(epoch_);
  constexpr std::size_t kGroupBytes = Metadata::kGroup * kGranuleBytes;
  for (std::size_t i = 0; i < blocks_.frontier(); ++i) {
    if (!region_.block(BlockIndex(i)).has_small_objects()) continue;
    const Range range = region_.range_of(BlockIndex(i));
    for (Address at = range.begin; at < range.end(); at = at + kGroupBytes) {
      const std::uint64_t bytes = metadata().load_group(at);
      const std::uint64_t marked = Metadata::marked_starts(bytes, epoch_) >> 7;  // 1 in each
      if (marked == 0) continue;
      metadata().store_group(at, (bytes & ~(marked * MetadataByte::kMarkMask)) | marked * before);
    }
  }
  large_.for_each([&](const LargeObject& large) {
    const Address start = large.range.begin;
    if (is_marked(start)) metadata().store(start, metadata().load(start).marked(before));
  });
  epoch_ = before;
}

void Space::begin_young_marking() {
  for (const BlockIndex index : young_blocks_) region_.block(index).forget_survivors();
}

// Neighbouring blocks are armed by one system call.
class Space::ArmingRun {
 public:
  explicit ArmingRun(Space& space) : space_(space) {}
  ~ArmingRun() { flush(); }
  ArmingRun(const ArmingRun&) = delete;
  ArmingRun& operator=(const ArmingRun&) = delete;

  // In address order.
  void add(BlockIndex index) {
    Block& block = space_.region_.block(index);
    if (space_.remembered_ == nullptr || block.leaf || block.armed) return;
    block.armed = true;
    const Range range = space_.region_.range_of(index);
    if (range.begin != run_.end()) flush();
    if (run_.empty()) run_.begin = range.begin;
    run_.size += range.size;
  }

 private:
  void flush() {
    if (!run_.empty()) space_.remembered_->arm(run_);
    run_ = {};
  }

  Space& space_;
  Range run_;
};

void Space::arm_large(LargeObject& object) {
  if (remembered_ == nullptr) return;
  const Range pages{object.range.begin, object.units * region_.unit_bytes()};
  remembered_->arm(pages);
  object.armed = true;
  const BlockIndex last = region_.block_of(pages.end() - 1);
  for (BlockIndex index = region_.block_of(pages.begin); index <= last; ++index.value)
    region_.block(index).armed = true;
}

void Space::end_marking(std::size_t live, bool watch) {
  large_.sweep(epoch_, [this, watch](LargeObject& object) {
    if (watch) arm_large(object);
  });
  blocks_.restart();
  young_blocks_.clear();
  ArmingRun run(*this);
  for (std::size_t i = 0; i < blocks_.frontier(); ++i) {
    const BlockIndex index(i);
    Block& block = region_.block(index);
    block.young = false;
    const BlockState state = block.state();
    if (state == BlockState::owned) {
      open(index);
      block.has_old = true;
    } else if (state == BlockState::filled || state == BlockState::swept) {
      if (block.has_survivors()) {
        block.become(BlockState::unswept);
        if (watch) run.add(index);
      } else {
        blocks_.give_back(index, 1);
      }
    }
  }
  used_ = live;
}

void Space::end_young_marking(std::size_t live) {
  large_.sweep_young(epoch_, [this](LargeObject& object) { arm_large(object); });
  std::sort(young_blocks_.begin(), young_blocks_.end());
  blocks_.begin_adding();
  std::size_t kept = 0;
  ArmingRun run(*this);
  for (const BlockIndex index : young_blocks_) {
    Block& block = region_.block(index);
    const BlockState state = block.state();
    if (state == BlockState::owned) {
      block.has_old = true;
      young_blocks_[kept++] = index;
      continue;
    }
    block.young = false;
    if (state == BlockState::filled) {
      if (!block.has_old && !block.has_survivors()) {
        blocks_.give_back(index, 1);
        continue;
      }
      block.become(BlockState::unswept);
      blocks_.add_with_holes(index);
      // Its holes were allocated into, and will be: it is not armed to be disarmed again. One that
      // nobody picks is armed by the next cycle.
      if (block.has_old && !block.leaf) {
        block.young = true;
        young_blocks_[kept++] = index;
        continue;
      }
    }
    if (block.has_small_objects()) run.add(index);
  }
  blocks_.end_adding();
  young_blocks_.truncate(kept);
  used_ = live;
}

std::size_t Space::trim() {
  finish_sweeping();
  return blocks_.trim([this](Range leaving) {
    // Some barriers would not notice that protection goes with the memory.
    if (remembered_ != nullptr) disarm(leaving);
    for (BlockIndex i = region_.block_of(leaving.begin); i <= region_.block_of(leaving.end() - 1);
         ++i.value)
      region_.block(i).armed = false;
    if (zeros_ != nullptr) zeros_->removed(leaving.begin - region_.range().begin, leaving.size);
  });
}

}  // namespace weir::heap
