// How many bytes of objects a cluster of an image has, and what follows from it. A plain value.
//
// At most a block: what reaches from one block into another begins at a block's first byte, so a
// chain of clusters that begin with an object of the one before ends within a block.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "runtime/heap/units.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::image {

class ClusterSize {
 public:
  // A power of two from the system's page to a block.
  static bool is_valid(std::size_t bytes) {
    return std::has_single_bit(bytes) && bytes >= os::page_size() && bytes <= heap::kBlockBytes;
  }

  constexpr ClusterSize() = default;  // a block
  constexpr explicit ClusterSize(std::size_t bytes) : bytes_(bytes) {}

  constexpr std::size_t bytes() const { return bytes_; }
  constexpr std::size_t in_block() const { return heap::kBlockBytes / bytes_; }
  constexpr std::size_t granules() const { return bytes_ / heap::kGranuleBytes; }
  constexpr std::size_t relocation_bytes() const {  // a bit for each word
    return bytes_ / sizeof(std::uint64_t) / 8;
  }
  // When it is decoded: objects, a metadata byte for each granule, relocations.
  constexpr std::size_t payload_bytes() const { return bytes_ + granules() + relocation_bytes(); }
  // What a reader accepts at most in the file.
  constexpr std::size_t most_stored() const { return 2 * payload_bytes(); }
  friend constexpr bool operator==(ClusterSize, ClusterSize) = default;

 private:
  std::size_t bytes_ = heap::kBlockBytes;
};

}  // namespace weir::image
