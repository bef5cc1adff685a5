// Writes an image beside its final name, and puts it there when it is whole and on disk: after a
// crash there is the old image or the new one, never neither.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "runtime/image/cluster_index.hpp"

namespace weir::image {

class ImageWriter {
 public:
  // Errors: those of creating a file in the folder of `path`.
  static Expected<std::unique_ptr<ImageWriter>> create(const std::string& path);
  // Without finish() nothing is left behind.
  ~ImageWriter();
  ImageWriter(const ImageWriter&) = delete;
  ImageWriter& operator=(const ImageWriter&) = delete;

  // Where the bytes are in the file. Any thread, also while others are stopped by signals. What
  // goes wrong is told by finish(); a full disk is counted on, so that it can say what is missing.
  std::uint64_t append(Bytes bytes) noexcept;
  // The sizes, offsets and checksums of the header are filled in.
  Expected<> finish(Header header, const Directory& directory, std::span<const ClusterEntry> index);

 private:
  ImageWriter(int fd, std::string path, std::string temporary)
      : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}
  void write_at(Bytes bytes, std::uint64_t offset) noexcept;
  Unexpected failure(int sys_errno, const char* what) const;

  int fd_;
  const std::string path_;
  std::string temporary_;  // empty: it has its name
  std::atomic<std::uint64_t> end_{kHeaderBytes};
  std::atomic<std::uint64_t> written_{0};
  std::atomic<int> errno_{0};  // the first that went wrong
};

}  // namespace weir::image
