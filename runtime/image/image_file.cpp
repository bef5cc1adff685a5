#include "runtime/image/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace weir::image {
namespace {

constexpr const char* kWhat = "opening a heap image";

// The path goes before what is wrong.
Unexpected with_path(Error error, const std::string& path) {
  std::string detail = path;
  if (!error.detail.view().empty()) detail.append(": ").append(error.detail.view());
  error.detail = ErrorText(detail);
  return Unexpected(error);
}

// Errors: what pread says; invalid_argument where the file ends too early.
Expected<> read_all(int fd, Buffer to, std::uint64_t offset) noexcept {
  for (std::size_t done = 0; done < to.size();) {
    const ssize_t n =
        ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(errno, "reading a heap image");
    if (n == 0) return fail(ErrorCode::invalid_argument, "reading a heap image", "it is truncated");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

Expected<ImageFile> ImageFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return with_path(system_error(errno, kWhat).value(), path);
  ImageFile file(fd, path);
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return with_path(system_error(errno, kWhat).value(), path);
  if (!S_ISREG(status.st_mode))
    return with_path(fail(ErrorCode::invalid_argument, kWhat, "it is no regular file").value(),
                     path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < kHeaderBytes)
    return with_path(
        fail(ErrorCode::invalid_argument, kWhat, "it is too short for a heap image").value(), path);
  std::byte bytes[kHeaderBytes];
  if (auto done = read_all(fd, bytes, 0); !done) return with_path(done.error(), path);
  auto header = decode_header(bytes, size);
  if (!header) return with_path(header.error(), path);
  file.header_ = *header;
  if (auto done = file.read_tables(); !done) return with_path(done.error(), path);
  return file;
}

Expected<> ImageFile::read_tables() {
  const std::size_t directory_bytes = header_.directory_bytes;
  auto bytes = os::OffHeapArray<std::byte>::create(directory_bytes + header_.index_bytes());
  if (!bytes) return Unexpected(bytes.error());
  if (auto done = read_all(fd_, bytes->span(), header_.directory_offset); !done) return done;
  const Bytes directory = bytes->span().first(directory_bytes);
  const Bytes index = bytes->span().subspan(directory_bytes);
  if (checksum(directory) != header_.directory_checksum ||
      checksum(index) != header_.index_checksum)
    return fail(ErrorCode::invalid_argument, kWhat,
                "its directory or index is damaged (the checksum differs)");
  auto tables = decode_directory(directory, header_);
  if (!tables) return Unexpected(tables.error());
  directory_ = std::move(*tables);
  auto entries = decode_index(index, header_, directory_);
  if (!entries) return Unexpected(entries.error());
  index_ = std::move(*entries);
  for (const ClusterEntry& entry : index_)
    if (!entry.is_absent()) codecs_[static_cast<std::size_t>(entry.codec)] = true;
  return {};
}

ImageFile::ImageFile(ImageFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      header_(other.header_),
      directory_(std::move(other.directory_)),
      index_(std::move(other.index_)),
      codecs_(other.codecs_) {}

ImageFile& ImageFile::operator=(ImageFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  path_.swap(other.path_);
  std::swap(header_, other.header_);
  std::swap(directory_, other.directory_);
  std::swap(index_, other.index_);
  std::swap(codecs_, other.codecs_);
  return *this;
}

ImageFile::~ImageFile() {
  if (fd_ >= 0) ::close(fd_);
}

Expected<Bytes> ImageFile::read(std::size_t cluster, Buffer scratch) const noexcept {
  const ClusterEntry& entry = index_[cluster];
  const Buffer encoded = scratch.first(entry.stored);
  if (auto done = read_all(fd_, encoded, entry.offset); !done) return Unexpected(done.error());
  if (checksum(encoded) != entry.checksum)
    return fail(ErrorCode::invalid_argument, "reading a heap image", "the checksum differs");
  return Bytes(encoded);
}

}  // namespace weir::image
