// An image's file, open for reading. Header, directory and index are read and checked when it is
// opened; clusters with pread(2), never by a mapping: one of a file that somebody truncates would
// kill whoever reads it.
#pragma once

#include <string>
#include <weir/error.hpp>

#include "runtime/image/cluster_index.hpp"

namespace weir::image {

class ImageFile {
 public:
  // Errors name the file and what is wrong with it.
  static Expected<ImageFile> open(const std::string& path);
  ImageFile(ImageFile&& other) noexcept;
  ImageFile& operator=(ImageFile&& other) noexcept;
  ~ImageFile();

  const std::string& path() const { return path_; }
  const Header& header() const { return header_; }
  const Directory& directory() const { return directory_; }
  ClusterSize cluster_size() const { return header_.cluster_size; }
  std::size_t clusters() const { return index_.size(); }
  const ClusterEntry& entry(std::size_t cluster) const { return index_[cluster]; }

  bool uses(Codec codec) const { return codecs_[static_cast<std::size_t>(codec)]; }
  // The encoded bytes of a cluster that is not absent, at the beginning of `scratch`
  // (most_stored()), as the checksum wants them. Error invalid_argument: damaged or truncated. For
  // the fault path.
  Expected<Bytes> read(std::size_t cluster, Buffer scratch) const noexcept;

 private:
  ImageFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Expected<> read_tables();

  int fd_;
  std::string path_;
  Header header_;
  Directory directory_;
  ClusterIndex index_;
  std::array<bool, kCodecs.size()> codecs_{};
};

}  // namespace weir::image
