#include "runtime/image/cluster_reader.hpp"

namespace weir::image {

Expected<ClusterReader> ClusterReader::create(const ImageFile& file) {
  ClusterReader reader(file.cluster_size());
  for (const Codec codec : kCodecs) {
    if (!file.uses(codec)) continue;
    auto decoder = Decoder::create(codec);
    if (!decoder) return Unexpected(decoder.error());
    reader.decoders_[static_cast<std::size_t>(codec)] = std::move(*decoder);
  }
  auto encoded = os::OffHeapArray<std::byte>::create(reader.size_.most_stored());
  if (!encoded) return Unexpected(encoded.error());
  auto payload =
      os::OffHeapArray<std::uint64_t>::create(reader.size_.payload_bytes() / sizeof(std::uint64_t));
  if (!payload) return Unexpected(payload.error());
  reader.encoded_ = std::move(*encoded);
  reader.payload_ = std::move(*payload);
  return reader;
}

std::optional<Cluster> ClusterReader::read(const ImageFile& file, std::size_t cluster,
                                           const Conversion& conversion) noexcept {
  const ClusterEntry& entry = file.entry(cluster);
  const auto payload = std::as_writable_bytes(payload_.span());
  const auto encoded = file.read(cluster, encoded_.span());
  if (!encoded) return std::nullopt;
  Decoder& decoder = *decoders_[static_cast<std::size_t>(entry.codec)];
  if (!decoder.decode(*encoded, payload)) return std::nullopt;
  const Cluster decoded(payload, size_);
  if (!decoded.check_metadata(conversion.kinds, entry)) return std::nullopt;
  if (!conversion.translation.is_identity() &&
      !decoded.translate(conversion.translation, conversion.format))
    return std::nullopt;
  return decoded;
}

Conversion as_saved(const ImageFile& file) {
  Conversion conversion;
  conversion.format = {file.header().slot_mask, file.header().slot_shift};
  for (const SavedKind& kind : file.directory().kinds)
    conversion.kinds.kinds[kind.number] = {kind.number, kind.trace};
  return conversion;
}

}  // namespace weir::image
