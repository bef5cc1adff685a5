// The pages on disk, each compressed on its own: where missing pages come from.
//
// The file has no name by the time write() returns, so it is gone however the program ends. Reading
// is for the fault path: no allocation, no lock, any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
#include <weir/error.hpp>

#include "runtime/image/codec.hpp"

namespace weir::cracauer {

class BackingFile {
 public:
  // In $TMPDIR, or else /tmp.
  static Expected<BackingFile> write(image::Bytes pages, std::size_t page_size, image::Codec codec);
  BackingFile(BackingFile&& other) noexcept;
  BackingFile& operator=(BackingFile&&) = delete;
  ~BackingFile();

  // The compressed bytes of a page, put into `scratch` (of largest() bytes). An error when the file
  // cannot be read, or is not what was written.
  Expected<image::Bytes> read(std::size_t page, image::Buffer scratch) const noexcept;

  std::size_t pages() const { return index_.size(); }
  std::size_t largest() const { return largest_; }  // bytes of one page
  std::size_t size() const { return size_; }        // bytes of all
  const std::string& folder() const { return folder_; }

 private:
  struct Entry {
    std::size_t offset;
    std::size_t size;
    std::uint32_t checksum;
  };
  BackingFile(int fd, std::string folder) : fd_(fd), folder_(std::move(folder)) {}
  Expected<> append(image::Bytes encoded);

  int fd_;
  std::string folder_;
  std::vector<Entry> index_;
  std::size_t size_ = 0;
  std::size_t largest_ = 0;
};

}  // namespace weir::cracauer
