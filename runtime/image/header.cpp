#include "runtime/image/header.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/os/page_size.hpp"

namespace weir::image {
namespace {

constexpr const char* kWhat = "opening a heap image";
constexpr std::size_t kChecksumAt = kHeaderBytes - 4;
constexpr std::uint32_t kFixed = 1;  // the one flag there is

// As the words of objects are: in the order of the machine.
std::uint32_t byte_order_in(Bytes header) {
  std::uint32_t order;
  std::memcpy(&order, header.data() + 12, sizeof order);
  return order;
}

Unexpected refused(ErrorCode code, const std::string& why, const char* advice = "") {
  return fail(code, kWhat, ErrorText(why), {}, advice);
}

bool lies_between(std::uint64_t offset, std::uint64_t bytes, std::uint64_t first,
                  std::uint64_t last) {
  return offset >= first && offset <= last && bytes <= last - offset;
}

Expected<> check_numbers(const Header& header) {
  if (header.clusters > kMostClusters)
    return refused(ErrorCode::invalid_argument, "more clusters than an image may have");
  if (header.directory_bytes > kMostDirectoryBytes)
    return refused(ErrorCode::invalid_argument, "a directory larger than an image may have");
  if (!lies_between(header.directory_offset, header.directory_bytes, kHeaderBytes,
                    header.file_bytes) ||
      !lies_between(header.index_offset, header.index_bytes(), kHeaderBytes, header.file_bytes))
    return refused(ErrorCode::invalid_argument, "its directory or index lies outside the file");
  if (header.index_offset != header.directory_offset + header.directory_bytes ||
      header.index_offset + header.index_bytes() != header.file_bytes)
    return refused(ErrorCode::invalid_argument, "its parts do not add up to the file");
  if (header.slot_shift >= 64)
    return refused(ErrorCode::invalid_argument, "a slot shift of 64 bits or more");
  return {};
}

}  // namespace

ByteWriter encode(const Header& header) {
  ByteWriter out;
  out.bytes(std::as_bytes(std::span(kMagic)));
  out.u32(kVersion);
  out.bytes(std::as_bytes(std::span(&kByteOrder, 1)));
  out.u32(header.page_bytes);
  out.u32(static_cast<std::uint32_t>(header.cluster_size.bytes()));
  out.u32(heap::kGranuleBytes);
  out.u32(header.is_fixed ? kFixed : 0);
  out.u64(header.image_id);
  out.u64(header.file_bytes);
  out.u64(header.slot_mask);
  out.u64(header.conservative_mask);
  out.u32(header.slot_shift);
  out.u32(header.clusters);
  out.u64(header.directory_offset);
  out.u64(header.directory_bytes);
  out.u32(header.directory_checksum);
  out.u32(header.index_checksum);
  out.u64(header.index_offset);
  out.u64(header.objects);
  out.u64(header.object_bytes);
  out.zeros_up_to(kChecksumAt);
  out.u32(checksum(out.view()));
  return out;
}

Expected<Header> decode_header(Bytes bytes, std::uint64_t actual_bytes) {
  ByteReader in(bytes);
  const Bytes magic = in.bytes(kMagic.size());
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0)
    return refused(ErrorCode::invalid_argument, "it is no heap image (its first bytes are others)");
  const std::uint32_t version = in.u32();
  if (version != kVersion)
    return refused(ErrorCode::unsupported,
                   "it has version " + std::to_string(version) + ", and this build reads version " +
                       std::to_string(kVersion),
                   "Save it anew with this build");
  if (byte_order_in(bytes) != kByteOrder)
    return refused(ErrorCode::unsupported, "it was saved on a machine of another byte order");
  if (ByteReader(bytes.subspan(kChecksumAt)).u32() != checksum(bytes.first(kChecksumAt)))
    return refused(ErrorCode::invalid_argument, "its header is damaged (the checksum differs)");
  (void)in.u32();

  Header header;
  header.page_bytes = in.u32();
  const std::uint32_t cluster = in.u32();
  const std::uint32_t granule = in.u32();
  const std::uint32_t flags = in.u32();
  header.is_fixed = (flags & kFixed) != 0;
  header.image_id = in.u64();
  header.file_bytes = in.u64();
  header.slot_mask = in.u64();
  header.conservative_mask = in.u64();
  header.slot_shift = in.u32();
  header.clusters = in.u32();
  header.directory_offset = in.u64();
  header.directory_bytes = in.u64();
  header.directory_checksum = in.u32();
  header.index_checksum = in.u32();
  header.index_offset = in.u64();
  header.objects = in.u64();
  header.object_bytes = in.u64();
  const Bytes unused = in.bytes(in.left() - 4);

  if (header.page_bytes != os::page_size())
    return refused(ErrorCode::unsupported,
                   "it was saved with pages of " + std::to_string(header.page_bytes) +
                       " bytes, and this machine has pages of " + std::to_string(os::page_size()));
  if (!ClusterSize::is_valid(cluster))
    return refused(ErrorCode::unsupported,
                   "it has clusters of " + std::to_string(cluster) +
                       " bytes, and this build reads those of a power of two from " +
                       std::to_string(os::page_size()) + " to " +
                       std::to_string(heap::kBlockBytes));
  header.cluster_size = ClusterSize(cluster);
  if (granule != heap::kGranuleBytes)
    return refused(ErrorCode::unsupported, "it has granules of " + std::to_string(granule) +
                                               " bytes, and this build reads those of " +
                                               std::to_string(heap::kGranuleBytes));
  const bool is_unused = std::ranges::all_of(unused, [](std::byte b) { return b == std::byte{}; });
  if (flags > kFixed || !is_unused)
    return refused(ErrorCode::unsupported, "it has features that this build does not know");
  if (header.file_bytes != actual_bytes)
    return refused(ErrorCode::invalid_argument,
                   "it has " + std::to_string(actual_bytes) + " bytes, and should have " +
                       std::to_string(header.file_bytes) + " (truncated?)");
  if (auto right = check_numbers(header); !right) return Unexpected(right.error());
  return header;
}

}  // namespace weir::image
