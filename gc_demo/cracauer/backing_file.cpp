#include "gc_demo/cracauer/backing_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace weir::cracauer {
namespace {

// A file without a name; where the file system has no such thing, one that loses it at once.
int open_nameless(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string name = folder + "/cracauer-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

Unexpected io_error(int sys_errno, const char* what, const std::string& folder) {
  Unexpected error = system_error(sys_errno, what, {}, "Set TMPDIR to a folder with room");
  error.value().detail = std::string_view(folder);
  return error;
}

}  // namespace

Expected<BackingFile> BackingFile::write(image::Bytes pages, std::size_t page_size,
                                         image::Codec codec) {
  const char* tmpdir = std::getenv("TMPDIR");
  const std::string folder = tmpdir != nullptr && *tmpdir != '\0' ? tmpdir : "/tmp";
  auto encoder = image::Encoder::create(codec);
  if (!encoder) return Unexpected(encoder.error());
  const int fd = open_nameless(folder);
  if (fd < 0) return io_error(errno, "making a temporary file", folder);

  BackingFile file(fd, folder);
  std::vector<std::byte> encoded((*encoder)->bound(page_size));
  for (std::size_t at = 0; at < pages.size(); at += page_size) {
    const auto size = (*encoder)->encode(pages.subspan(at, page_size), encoded);
    if (!size) return Unexpected(size.error());
    if (auto done = file.append(image::Bytes(encoded).first(*size)); !done)
      return Unexpected(done.error());
  }
  return file;
}

BackingFile::BackingFile(BackingFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      folder_(std::move(other.folder_)),
      index_(std::move(other.index_)),
      size_(other.size_),
      largest_(other.largest_) {}

BackingFile::~BackingFile() {
  if (fd_ >= 0) ::close(fd_);
}

Expected<> BackingFile::append(image::Bytes encoded) {
  index_.push_back({size_, encoded.size(), image::checksum(encoded)});
  largest_ = std::max(largest_, encoded.size());
  while (!encoded.empty()) {
    const ssize_t n = ::write(fd_, encoded.data(), encoded.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(errno, "writing the pages to disk", folder_);
    encoded = encoded.subspan(static_cast<std::size_t>(n));
    size_ += static_cast<std::size_t>(n);
  }
  return {};
}

Expected<image::Bytes> BackingFile::read(std::size_t page, image::Buffer scratch) const noexcept {
  constexpr const char* kWhat = "reading a page from disk";
  const Entry& entry = index_[page];
  const image::Buffer encoded = scratch.first(entry.size);
  for (std::size_t done = 0; done < entry.size;) {
    const ssize_t n = ::pread(fd_, encoded.data() + done, entry.size - done,
                              static_cast<off_t>(entry.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(errno, kWhat);
    if (n == 0) return fail(ErrorCode::invalid_argument, kWhat, "the file is too short");
    done += static_cast<std::size_t>(n);
  }
  if (image::checksum(encoded) != entry.checksum)
    return fail(ErrorCode::invalid_argument, kWhat, "the file is damaged");
  return encoded;
}

}  // namespace weir::cracauer
