#include "runtime/image/cluster_index.hpp"

#include <string>

namespace weir::image {
namespace {

Unexpected refused(const char* why, std::size_t cluster) {
  return fail(ErrorCode::invalid_argument, "opening a heap image",
              ErrorText("its index is wrong: cluster " + std::to_string(cluster) + " has " + why));
}

// `i`: within its segment, whose first entry is `first`.
bool continues_rightly(const ClusterEntry* first, std::size_t i, std::size_t in_block) {
  const std::uint32_t back = first[i].continues;
  // The granule behind the last one is of the object that starts in that.
  if (i > 0 && first[i - 1].last_kind != 0 && back != 1) return false;
  if (back == 0) return true;
  if (first[i].is_absent() || back > i) return false;
  if (back > 1 && first[i - 1].continues != back - 1) return false;
  // What reaches into another block begins at the beginning of its own.
  const std::size_t begin = i - back;
  const bool is_in_block = begin / in_block == i / in_block;
  return !first[begin].is_absent() &&
         (is_in_block || (begin % in_block == 0 && first[begin].continues == 0));
}

}  // namespace

void encode(const ClusterEntry& entry, ByteWriter& out) {
  out.u64(entry.offset);
  out.u32(entry.stored);
  out.u32(entry.checksum);
  out.u32(entry.continues);
  out.u8(static_cast<std::uint8_t>(entry.codec));
  out.u8(entry.last_kind);
  out.u16(0);
}

Expected<ClusterIndex> decode_index(Bytes bytes, const Header& header, const Directory& directory) {
  auto index = ClusterIndex::create(header.clusters);
  if (!index) return index;
  const ClusterSize size = header.cluster_size;
  std::size_t at = 0;
  for (const Segment& segment : directory.segments) {
    ClusterEntry* const first = index->data() + at;
    const std::size_t count = segment.saved.size / size.bytes();
    for (std::size_t i = 0; i < count; ++i, ++at) {
      ByteReader in(bytes.subspan(at * kIndexEntryBytes, kIndexEntryBytes));
      ClusterEntry& entry = first[i];
      entry.offset = in.u64();
      entry.stored = in.u32();
      entry.checksum = in.u32();
      entry.continues = in.u32();
      const std::uint8_t codec = in.u8();
      entry.last_kind = in.u8();
      if (codec >= kCodecs.size()) return refused("a codec that this build does not know", at);
      entry.codec = static_cast<Codec>(codec);
      if (in.u16() != 0) return refused("a number where there is none", at);
      if (!continues_rightly(first, i, size.in_block()))
        return refused("an object without a beginning", at);
      if (entry.is_absent()) {
        if (entry.offset != 0 || entry.checksum != 0 || entry.last_kind != 0)
          return refused("a place or a kind but no bytes", at);
        continue;
      }
      if (entry.last_kind != 0 &&
          (i + 1 == count || directory.find_kind(entry.last_kind) == nullptr))
        return refused("an object of no kind at its end", at);
      if (entry.stored > size.most_stored() || entry.offset < kHeaderBytes ||
          entry.offset > header.directory_offset ||
          entry.stored > header.directory_offset - entry.offset)
        return refused("a place outside the file's clusters", at);
      if (entry.codec == Codec::none && entry.stored != size.payload_bytes())
        return refused("another size than a cluster has", at);
    }
  }
  return index;
}

}  // namespace weir::image
