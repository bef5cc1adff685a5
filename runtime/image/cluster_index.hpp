// Where each cluster of an image is in its file.
#pragma once

#include <cstdint>
#include <weir/error.hpp>

#include "runtime/image/directory.hpp"
#include "runtime/image/header.hpp"
#include "runtime/os/off_heap.hpp"

namespace weir::image {

struct ClusterEntry {
  std::uint64_t offset = 0;
  std::uint32_t stored = 0;  // bytes in the file; 0: absent, no object lies there
  std::uint32_t checksum = 0;
  // An object from so many clusters before this one reaches into it; 0: it begins with none.
  std::uint32_t continues = 0;
  Codec codec = Codec::none;
  // The kind's number of an object that starts in its last granule; 0: it has none.
  std::uint8_t last_kind = 0;

  bool is_absent() const { return stored == 0; }
};

using ClusterIndex = os::OffHeapArray<ClusterEntry>;

void encode(const ClusterEntry& entry, ByteWriter& out);
// Checked against the header and the segments.
Expected<ClusterIndex> decode_index(Bytes bytes, const Header& header, const Directory& directory);

}  // namespace weir::image
