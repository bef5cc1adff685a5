// Reads clusters of an image: from the file, through checksum and codec, to what may be used. All
// memory is there from the start, so the fault path may do it [quiet-server]. One thread at a time.
#pragma once

#include <memory>
#include <optional>

#include "runtime/image/cluster.hpp"
#include "runtime/image/image_file.hpp"

namespace weir::image {

// How what comes from the file becomes what is right here.
struct Conversion {
  KindMap kinds;
  Translation translation;
  SlotFormat format;
};

class ClusterReader {
 public:
  static Expected<ClusterReader> create(const ImageFile& file);
  ClusterReader() = default;  // reads nothing

  // Not of an absent one. Nothing: it is damaged, or cannot be. Valid until the next call.
  std::optional<Cluster> read(const ImageFile& file, std::size_t cluster,
                              const Conversion& conversion) noexcept;

 private:
  explicit ClusterReader(ClusterSize size) : size_(size) {}

  ClusterSize size_;
  std::unique_ptr<Decoder> decoders_[kCodecs.size()];  // those that the file needs
  os::OffHeapArray<std::byte> encoded_;
  os::OffHeapArray<std::uint64_t> payload_;
};

// Kinds as they are in the file, and nothing moved: to look whether clusters are whole.
Conversion as_saved(const ImageFile& file);

}  // namespace weir::image
