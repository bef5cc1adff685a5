// The sizes that the heap is made of. docs/heap.md has the picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <weir/address.hpp>

namespace weir::heap {

inline constexpr unsigned kGranuleShift = 4;  // the unit of the metadata
inline constexpr std::size_t kGranuleBytes = std::size_t{1} << kGranuleShift;
inline constexpr unsigned kBlockShift = 16;  // the unit of allocation and of age
inline constexpr std::size_t kBlockBytes = std::size_t{1} << kBlockShift;
inline constexpr std::size_t kBlockGranules = kBlockBytes / kGranuleBytes;
inline constexpr std::size_t kArenaBytes = std::size_t{32} << 20;  // what is committed at a time
inline constexpr std::size_t kArenaBlocks = kArenaBytes / kBlockBytes;
inline constexpr std::size_t kSmallestHole = 64;  // smaller ones cost more than they give
inline constexpr std::size_t kMedium = 512;       // above it, an object looks for holes of its own
inline constexpr std::size_t kSmallMax = 8192;    // above it, an object has pages of its own
inline constexpr std::size_t kObjectMax = std::size_t{1} << 46;

constexpr std::size_t round_to_granules(std::size_t bytes) {
  return (bytes + (kGranuleBytes - 1)) & ~(kGranuleBytes - 1);
}

// A block's number within its region.
struct BlockIndex {
  BlockIndex() = default;
  constexpr explicit BlockIndex(std::size_t number) : value(static_cast<std::uint32_t>(number)) {}
  friend constexpr auto operator<=>(BlockIndex, BlockIndex) = default;

  std::uint32_t value;
};

}  // namespace weir::heap
