#include "runtime/image/cluster_index.hpp"

#include <string>

namespace weir::image {
namespace {

Unexpected refused(const char* why, std::size_t cluster) {
  return fail(ErrorCode::invalid_argument, "opening a heap image",
              ErrorText("its index is wrong: cluster " + std::to_string(cluster) + " has " + why));
}

// `i`: within its segment, whose first entry is `first`.
bool continues_rightly(const ClusterEntry* first, std::size_t i) {
  const std::uint32_t back = first[i].continues;
  if (back == 0) return true;
  if (first[i].is_absent() || back > i) return false;
  // What reaches into other clusters begins at the beginning of its own.
  if (back == 1) return !first[i - 1].is_absent() && first[i - 1].continues == 0;
  return first[i - 1].continues == back - 1;
}

}  // namespace

void encode(const ClusterEntry& entry, ByteWriter& out) {
  out.u64(entry.offset);
  out.u32(entry.stored);
  out.u32(entry.checksum);
  out.u32(entry.continues);
  out.u32(static_cast<std::uint32_t>(entry.codec));
}

Expected<ClusterIndex> decode_index(Bytes bytes, const Header& header, const Directory& directory) {
  auto index = ClusterIndex::create(header.clusters);
  if (!index) return index;
  std::size_t at = 0;
  for (const Segment& segment : directory.segments) {
    ClusterEntry* const first = index->data() + at;
    const std::size_t count = segment.saved.size / kClusterBytes;
    for (std::size_t i = 0; i < count; ++i, ++at) {
      ByteReader in(bytes.subspan(at * kIndexEntryBytes, kIndexEntryBytes));
      ClusterEntry& entry = first[i];
      entry.offset = in.u64();
      entry.stored = in.u32();
      entry.checksum = in.u32();
      entry.continues = in.u32();
      const std::uint32_t codec = in.u32();
      if (codec >= kCodecs.size()) return refused("a codec that this build does not know", at);
      entry.codec = static_cast<Codec>(codec);
      if (!continues_rightly(first, i)) return refused("an object without a beginning", at);
      if (entry.is_absent()) {
        if (entry.offset != 0 || entry.checksum != 0) return refused("a place but no bytes", at);
        continue;
      }
      if (entry.stored > kMostStored || entry.offset < kHeaderBytes ||
          entry.offset > header.directory_offset ||
          entry.stored > header.directory_offset - entry.offset)
        return refused("a place outside the file's clusters", at);
      if (entry.codec == Codec::none && entry.stored != kPayloadBytes)
        return refused("another size than a cluster has", at);
    }
  }
  return index;
}

}  // namespace weir::image
