// The address range of one heap, reserved once, and the tables beside it: a metadata byte for each
// granule, a record for each block, the owner of each unit of large objects. Memory stands behind
// them arena by arena, as far as the heap has grown.
//
//   | objects ...                | metadata, 1/16 | blocks, 1/4096 | units, 1/1024 |   | cards,
//   1/512 |
//     committed up to committed()                                                        on request
//
// Reading is free for all; commit_next and commit_cards are called under the heap's lock.
#pragma once

#include <cstdint>
#include <optional>
#include <weir/address.hpp>
#include <weir/error.hpp>

#include "runtime/barrier/card_table.hpp"
#include "runtime/heap/block.hpp"
#include "runtime/heap/metadata.hpp"
#include "runtime/heap/units.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::heap {

// Of an address in the region, its block. A plain value, for loops that would load the region's
// members again after each store.
struct BlockTable {
  Address begin;
  Block* blocks = nullptr;

  Block& of(Address a) const { return blocks[(a - begin) >> kBlockShift]; }
  // `begin` is at a multiple of a block.
  static Address end_of(Address a) { return a.align_down(kBlockBytes) + kBlockBytes; }
};

class Region {
 public:
  // `bytes` is rounded up to whole arenas.
  static Expected<Region> reserve(std::size_t bytes, os::HugePages huge);

  Range range() const { return objects_; }
  std::size_t block_count() const { return objects_.size >> kBlockShift; }
  // How many blocks have memory.
  std::size_t committed() const { return committed_; }
  // Whether memory that nobody has touched comes in pages, not in huge ones.
  bool comes_in_pages() const { return !may_be_huge_; }
  // Memory for one more arena. Error out_of_memory: the region is used up, or the system is.
  Expected<> commit_next();
  // Memory for the cards of what is committed, and of every arena from now on. Only the barrier
  // `cards`, and who compares another with it, need them.
  Expected<> commit_cards();

  bool contains(Address a) const { return objects_.contains(a); }
  const Metadata& metadata() const { return metadata_; }
  BlockIndex block_of(Address a) const { return BlockIndex((a - objects_.begin) >> kBlockShift); }
  Range range_of(BlockIndex index) const {
    return {objects_.begin + (std::size_t{index.value} << kBlockShift), kBlockBytes};
  }
  Block& block(BlockIndex index) const { return blocks_[index.value]; }
  BlockTable block_table() const { return {objects_.begin, blocks_}; }

  // A unit is a page, but at least 4 KiB: what large objects are made of.
  std::size_t unit_bytes() const { return std::size_t{1} << unit_shift_; }
  unsigned units_per_block() const { return 1u << (kBlockShift - unit_shift_); }
  std::uint32_t& unit_owner(Address a) const {
    return unit_owners_[(a - objects_.begin) >> unit_shift_];
  }

  // Of all the address space, since the same code marks writes to objects of images, which lie
  // outside of the region. The region's part has memory after commit_cards, as far as the objects
  // have. None where there is no room for them: a limit of address space, Valgrind.
  barrier::CardTable cards() const {
    if (cards_.range().empty()) return {};
    return {kAddressSpace, cards_.as<std::uint8_t>(), objects_};
  }

  // Of all tables, as much as the first `blocks` blocks make resident, if all of them are used.
  std::size_t metadata_bytes(std::size_t blocks) const;
  // The memory of a block's metadata goes back to the system; it reads as zeros.
  void discard_metadata(Range blocks) const;

 private:
  // A huge page has the metadata of a whole arena, and is resident as soon as one block there is
  // used. The first few arenas get theirs when they are full, lest the tables of a small heap take
  // more than 8 % of it.
  static constexpr std::size_t kArenasInSmallPages = 4;
  struct Table {
    Address begin;
    std::size_t bytes_per_arena;
    Range of_arenas(std::size_t first, std::size_t count) const;  // whole pages
  };
  enum : std::size_t { of_granules, of_blocks, of_units, of_cards, table_count };

  Expected<> commit_table(std::size_t index, std::size_t arena);

  // What mmap gives a program that does not ask for more.
#if defined(__x86_64__)
  static constexpr Range kAddressSpace{Address(), std::size_t{1} << 47};
#else
  static constexpr Range kAddressSpace{Address(), std::size_t{1} << 48};
#endif

  os::Mapping memory_;
  os::Mapping cards_;
  Range objects_;
  Metadata metadata_;
  Block* blocks_ = nullptr;
  std::uint32_t* unit_owners_ = nullptr;
  Table tables_[table_count] = {};
  std::size_t tables_in_use_ = of_cards;  // table_count with the cards
  unsigned unit_shift_ = 0;
  std::size_t committed_ = 0;
  os::HugePages huge_ = os::HugePages::system;
  bool may_be_huge_ = false;
};

}  // namespace weir::heap
