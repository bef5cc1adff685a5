// The first 256 bytes of an image: whether it is one, whether this build and this machine can read
// it, and where the rest is.
#pragma once

#include <cstdint>
#include <weir/error.hpp>

#include "runtime/image/bytes.hpp"
#include "runtime/image/cluster_size.hpp"
#include "runtime/image/codec.hpp"
#include "runtime/image/format.hpp"

namespace weir::image {

struct Header {
  std::uint32_t page_bytes = 0;
  ClusterSize cluster_size;
  bool is_fixed = false;  // only at its own address: it has words that may or may not be addresses
  std::uint64_t image_id = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t slot_mask = 0;
  std::uint64_t conservative_mask = 0;
  std::uint32_t slot_shift = 0;
  std::uint32_t clusters = 0;  // entries of the index, absent ones included
  std::uint64_t directory_offset = 0;
  std::uint64_t directory_bytes = 0;
  std::uint32_t directory_checksum = 0;
  std::uint32_t index_checksum = 0;
  std::uint64_t index_offset = 0;
  std::uint64_t objects = 0;
  std::uint64_t object_bytes = 0;

  std::uint64_t index_bytes() const { return std::uint64_t{clusters} * kIndexEntryBytes; }
};

ByteWriter encode(const Header& header);
// `bytes` is kHeaderBytes long, of a file of `actual_bytes`. Errors: invalid_argument, unsupported
// (another version, page size, cluster size or byte order), with the reason as detail.
Expected<Header> decode_header(Bytes bytes, std::uint64_t actual_bytes);

}  // namespace weir::image
