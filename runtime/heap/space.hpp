// The memory of one heap: its region, blocks and large objects, and how much of it may be given out
// before the owner has to be asked. Knows nothing of collections: they tell it what is marked
// (begin_marking, end_marking, ...), and it finds the rest: what is dead, what has become old, and
// which memory has to be armed or disarmed for that.
//
// `lock` protects everything but what mutators own: their blocks, from take_block on.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>

#include "runtime/heap/blocks.hpp"
#include "runtime/heap/free_runs.hpp"
#include "runtime/heap/kinds.hpp"
#include "runtime/heap/large_objects.hpp"
#include "runtime/heap/remembered_set.hpp"
#include "runtime/heap/zero_source.hpp"
#include "runtime/os/pagemap.hpp"

namespace weir::heap {

// Why memory was not given out.
enum class Refusal { budget_spent, out_of_memory };

struct Found {
  Range range;
  KindTag kind;
};

class Space {
 public:
  struct Options {
    std::size_t maximum = 0;   // bytes in blocks
    std::size_t reserved = 0;  // address space; at least the maximum
    os::HugePages huge = os::HugePages::prefer;
    bool poison = false;  // fill free runs with kPoison as they are found
  };
  static constexpr unsigned char kPoison = 0xdb;
  static Expected<std::unique_ptr<Space>> create(const Options& options);

  // Before anything is allocated: from now on what has become old is watched by `barrier`, which
  // outlives the space. Without one nothing is ever old. `may_measure`: clocks have a say in what
  // is armed. Errors: those of Barrier::attach.
  Expected<> watch(barrier::Barrier& barrier, bool may_measure);
  // The same, watched already: its pages come by faults, from `server`, which outlives the space.
  Expected<> fill_by(faults::FaultServer& server);
  ~Space();
  Expected<> keep_cards() { return region_.commit_cards(); }

  const Region& region() const { return region_; }
  Range committed() const { return {region_.range().begin, region_.committed() * kBlockBytes}; }
  const Metadata& metadata() const { return region_.metadata(); }
  Kinds& kinds() { return kinds_; }
  const Kinds& kinds() const { return kinds_; }
  std::mutex& lock() { return lock_; }

  // -- Mutators; each takes the lock --
  // A block with a free run of at least `bytes`, owned by the caller now, its `longest_run` up to
  // date. What shares its block with old objects has them scanned in the next young marking: that
  // must be worth it. docs/heap.md has the order.
  // `whatever_the_budget`: a collection was no help, or may not be.
  tl::expected<BlockIndex, Refusal> take_block(bool leaf, std::size_t bytes,
                                               bool whatever_the_budget);
  tl::expected<Address, Refusal> allocate_large(std::size_t bytes, std::size_t alignment,
                                                KindTag kind, bool whatever_the_budget);
  void release_block(BlockIndex index);  // its owner has filled it
  // Under the lock, in a block that no other mutator owns: an object dies before a collection finds
  // it dead. Bytes of old ones that are free at once.
  std::size_t free_early(Address start);

  // -- Looking up --
  // The object at the address: any address inside one. World stopped, or the block is not owned by
  // another mutator. Under no lock in the first case, under the lock in the second.
  std::optional<Found> find(Address address) const;
  bool is_owned(Address address) const {  // by a mutator that allocates there
    return committed().contains(address) &&
           region_.block(region_.block_of(address)).state() == BlockState::owned;
  }
  // Of an object that starts there.
  Found describe(Address start) const {
    const BlockIndex index = region_.block_of(start);
    if (region_.block(index).state() == BlockState::large) [[unlikely]]
      return describe_large(start);
    const Address end = metadata().next_start(start, region_.range_of(index).end());
    const std::uint8_t number =
        end - start > kGranuleBytes ? metadata().kind_number(start) : std::uint8_t{0};
    return {Range::between(start, end), KindTag::of(metadata().load(start).trace_class(), number)};
  }
  // In a block of large objects: whose unit it is; nullptr: nobody's.
  const LargeObject* large_object(Address address) const { return large_.find(address); }
  bool is_object(Address start) const {  // whether one starts there
    return committed().contains(start) && start.is_aligned(kGranuleBytes) &&
           metadata().load(start).is_object();
  }
  // Of an object's start: the last collection, or the one that is marking, found it alive.
  bool is_marked(Address start) const { return metadata().load(start).mark() == epoch_; }
  // The same, or it is no object of the region: those of images are alive, and nobody marks them.
  bool lives(Address start) const { return !region_.contains(start) || is_marked(start); }
  // Of a large object, the parts that anything was ever written to, as far as the system tells:
  // what it never gave memory is zeros, and stays without. World stopped.
  void for_each_populated(Range range, os::FunctionRef<void(Range)> visit) const;
  void open_pagemap();  // anew in the child of a fork
  // In address order, the large ones last. World stopped, everything swept.
  void for_each_object(os::FunctionRef<void(const Found&)> visit) const;

  // -- Collections, the world stopped --
  unsigned epoch() const { return epoch_; }  // marks of the last collection
  // Finds the dead of the last collection in all blocks where nobody did yet. Also under the lock.
  void finish_sweeping();
  // Nothing is marked from here on.
  void begin_marking();
  // Back to the marks that begin_marking() found, of objects that have been marked again since; the
  // others have theirs still. Nothing was swept in between.
  void undo_marking();
  // What is marked stays so: it is old, only young objects can be unmarked.
  void begin_young_marking();
  // What is not marked is dead from here on, and what is has become old. `live`: bytes of all that
  // are marked. The second after begin_young_marking. `watch`: what is old is armed, and can be
  // told from what is young in the next marking.
  void end_marking(std::size_t live, bool watch);
  void end_young_marking(std::size_t live);
  // Finds the free runs of a block, which stays whose it is. `keep` begins with a start.
  void sweep(BlockIndex index, Range keep);
  // visit(BlockIndex) for each block with old objects in it that the barrier does not watch.
  template <class Visit>
  void for_each_unwatched(Visit&& visit) const {
    for (const BlockIndex index : young_blocks_) {
      const Block& block = region_.block(index);
      if (block.has_old && !block.leaf && block.has_small_objects()) visit(index);
    }
  }
  std::size_t young_blocks() const { return young_blocks_.size(); }
  RememberedSet* remembered_set() const { return remembered_.get(); }
  // Fresh memory is had from the system a page at a time, unless it is asked for more.
  bool asks_ahead() const { return region_.comes_in_pages() && zeros_ == nullptr; }
  std::size_t frontier() const { return blocks_.frontier(); }

  // -- Sizing --
  // What may be given out until budget_spent.
  void set_budget(std::size_t bytes) { budget_ = bytes; }
  // Up to here it may grow for speed.
  void set_size(std::size_t bytes) { size_ = bytes; }
  void spend_elsewhere(std::size_t bytes) { budget_ -= std::min(budget_, bytes); }
  std::size_t allocated_large() const { return allocated_large_; }  // bytes, since the beginning
  std::size_t used() const { return used_; }  // live at the last collection + given out since
  std::size_t in_blocks() const { return blocks_.in_use() * kBlockBytes; }
  Expected<> set_maximum(std::size_t bytes);  // under the lock
  std::size_t trim();                         // under the lock
  std::size_t metadata_bytes() const { return region_.metadata_bytes(blocks_.in_use()); }

 private:
  Space(Region region, bool poison);
  Found describe_large(Address start) const;

  enum class Memory { used, fresh };
  std::optional<BlockIndex> take_whole(bool leaf, Memory memory);
  // How much of a block its holes have to be: nearly all; enough to be worth the scan of its old
  // objects, if they are scanned at all; anything.
  enum class Holes { nearly_all, enough, any };
  std::optional<BlockIndex> take_with_holes(bool leaf, std::size_t granules, Holes holes,
                                            std::size_t most);
  void spend(std::size_t bytes);
  // Under the lock: it is young from now on.
  void open(BlockIndex index);
  // The same, and if it is armed the blocks behind it that will be picked next, too: free ones, or
  // if it is not free itself those with holes; what the caller has to disarm, outside the lock.
  Range open_ahead(BlockIndex index, bool is_free);
  void disarm(Range pages) {
    if (!pages.empty()) remembered_->disarm(pages);
  }
  void find_free_runs(BlockIndex index, Range keep);
  void poison(BlockIndex index, Range keep);
  void arm_large(LargeObject& object);
  // Blocks that stay old are armed, in runs.
  class ArmingRun;

  Region region_;
  Blocks blocks_;
  LargeObjects large_;
  Kinds kinds_;
  std::unique_ptr<ZeroSource> zeros_;
  faults::FaultServer* server_ = nullptr;  // that `zeros_` is with
  std::unique_ptr<RememberedSet> remembered_;
  os::OffHeapVector<BlockIndex> young_blocks_;
  os::Pagemap pagemap_;  // empty: not to be had, and everything counts as populated
  std::mutex lock_;
  unsigned epoch_ = 1;
  bool poison_;
  std::size_t used_ = 0;
  std::size_t budget_ = 0;
  std::size_t size_ = 0;
  std::size_t allocated_large_ = 0;
};

}  // namespace weir::heap
