#include "runtime/heap/blocks.hpp"

#include <algorithm>

namespace weir::heap {
namespace {

std::size_t align(std::size_t index, std::size_t alignment) {
  return (index + alignment - 1) & ~(alignment - 1);
}

}  // namespace

Expected<Blocks> Blocks::create(Region& region) {
  auto free = BlockSet::create(region.block_count());
  if (!free) return Unexpected(free.error());
  Blocks blocks;
  blocks.region_ = &region;
  blocks.free_ = std::move(*free);
  return blocks;
}

std::optional<std::size_t> Blocks::find_free(std::size_t count, std::size_t alignment) const {
  if (free_.size() < count) return std::nullopt;
  for (std::size_t first = 0;;) {
    first = align(free_.next(first, frontier_), alignment);
    if (first + count > frontier_) return std::nullopt;
    std::size_t length = 0;
    while (length < count && free_.contains(first + length)) ++length;
    if (length == count) return first;
    first += length + 1;
  }
}

Expected<BlockIndex> Blocks::take(std::size_t count, BlockState state, std::size_t alignment) {
  if (in_use_ + count > limit_ || count > limit_)
    return fail(ErrorCode::out_of_memory, "allocating blocks", "the heap's maximum is reached");
  const auto found = find_free(count, alignment);
  std::size_t first = 0;
  if (found) {
    first = *found;
    for (std::size_t i = 0; i < count; ++i) free_.erase(first + i);
  } else {
    first = align(frontier_, alignment);
    while (first + count > region_->committed())
      if (auto grown = region_->commit_next(); !grown) return Unexpected(grown.error());
    for (std::size_t i = frontier_; i < first + count; ++i) {
      Block& block = region_->block(BlockIndex(i));
      block.become(BlockState::free);
      block.pristine = true;
      if (i < first) free_.insert(i);
    }
    frontier_ = first + count;
  }
  for (std::size_t i = first; i < first + count; ++i) region_->block(BlockIndex(i)).become(state);
  in_use_ += count;
  return BlockIndex(first);
}

void Blocks::give_back(BlockIndex first, std::size_t count) {
  for (std::size_t i = first.value; i < first.value + count; ++i) {
    region_->block(BlockIndex(i)).become(BlockState::free);
    free_.insert(i);
  }
  in_use_ -= count;
}

bool Blocks::has_hole(BlockIndex index, bool leaf, std::size_t granules) const {
  const Block& block = region_->block(index);
  if (block.leaf != leaf) return false;
  const BlockState state = block.state();
  return state == BlockState::unswept ||
         (state == BlockState::swept && block.longest_run >= granules);
}

std::optional<BlockIndex> Blocks::next_with_any_hole(bool leaf, std::size_t granules) {
  Offers& offers = offers_[leaf];
  while (offers.round_left > 0) {
    --offers.round_left;
    if (offers.round_cursor >= frontier_) offers.round_cursor = 0;
    const BlockIndex index = BlockIndex(offers.round_cursor++);
    if (has_hole(index, leaf, granules)) return index;
  }
  return std::nullopt;
}

std::optional<BlockIndex> Blocks::next_with_new_holes(bool leaf, std::size_t granules) {
  Offers& offers = offers_[leaf];
  while (offers.first_added < offers.added.size()) {
    const BlockIndex index = offers.added[offers.first_added++];
    if (has_hole(index, leaf, granules)) return index;
  }
  offers.added.clear();
  offers.first_added = 0;
  while (offers.cursor < frontier_) {
    const BlockIndex index = BlockIndex(offers.cursor++);
    if (has_hole(index, leaf, granules)) return index;
  }
  return std::nullopt;
}

void Blocks::add_with_holes(BlockIndex index) {
  // Without memory for it, it is offered after the next full collection.
  Offers& offers = offers_[region_->block(index).leaf];
  (void)offers.added.push_back(index);
  offers.round_left = frontier_;
}

void Blocks::begin_adding() {
  for (Offers& offers : offers_) {
    std::move(offers.added.begin() + offers.first_added, offers.added.end(), offers.added.begin());
    offers.added.truncate(offers.added.size() - offers.first_added);
    offers.first_added = 0;
    offers.left = offers.added.size();
  }
}

void Blocks::end_adding() {
  for (Offers& offers : offers_) {
    std::rotate(offers.added.begin(), offers.added.begin() + offers.left, offers.added.end());
    offers.added.truncate(std::min(offers.added.size(), frontier_));
  }
}

void Blocks::restart() {
  for (Offers& offers : offers_) {
    offers.added.clear();
    offers.first_added = offers.cursor = 0;
    offers.round_left = frontier_;
  }
}

std::size_t Blocks::trim(os::FunctionRef<void(Range)> leaving) {
  std::size_t bytes = 0;
  for (std::size_t first = free_.next(0, frontier_); first < frontier_;
       first = free_.next(first, frontier_)) {
    std::size_t end = first;
    while (end < frontier_ && free_.contains(end) && !region_->block(BlockIndex(end)).pristine)
      ++end;
    if (end == first) {
      ++first;
      continue;
    }
    const Range objects = Range::between(region_->range_of(BlockIndex(first)).begin,
                                         region_->range_of(BlockIndex(end - 1)).end());
    leaving(objects);
    os::discard(objects);
    region_->discard_metadata(objects);
    for (std::size_t i = first; i < end; ++i) region_->block(BlockIndex(i)).pristine = true;
    bytes += objects.size;
    first = end;
  }
  return bytes;
}

}  // namespace weir::heap
