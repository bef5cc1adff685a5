#include "runtime/image/image_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "runtime/image/save_injection.hpp"

namespace weir::image {
namespace {

constexpr const char* kWhat = "saving a heap image";

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Unexpected named(int sys_errno, const char* what, const std::string& path, const char* advice) {
  Unexpected error = system_error(sys_errno, what, {}, advice);
  error.value().detail = ErrorText(path);
  return error;
}

bool is_full(int sys_errno) {
  return sys_errno == ENOSPC || sys_errno == EDQUOT || sys_errno == EFBIG;
}

// So that the new name survives a crash, too.
Expected<> sync_folder(const std::string& path) {
  const std::string folder = folder_of(path);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return named(errno, kWhat, folder, "");
  const bool synced = ::fsync(fd) == 0 || errno == EINVAL;  // some file systems have no such thing
  const int why = errno;
  ::close(fd);
  if (!synced) return named(why, kWhat, folder, "");
  return {};
}

}  // namespace

Expected<std::unique_ptr<ImageWriter>> ImageWriter::create(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    std::string temporary =
        path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0)
      return std::unique_ptr<ImageWriter>(new ImageWriter(fd, path, std::move(temporary)));
    if (errno != EEXIST)
      return named(errno, kWhat, temporary,
                   "It is written beside its final name: the folder has "
                   "to exist and to be writable");
  }
}

ImageWriter::~ImageWriter() {
  ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void ImageWriter::write_at(Bytes bytes, std::uint64_t offset) noexcept {
  if (errno_.load() != 0) return;
  while (!bytes.empty()) {
    SaveInjection::at("write");
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int none = 0;
      errno_.compare_exchange_strong(none, errno);
      return;
    }
    const auto count = static_cast<std::size_t>(n);
    bytes = bytes.subspan(count);
    offset += count;
    written_.fetch_add(count);
  }
}

std::uint64_t ImageWriter::append(Bytes bytes) noexcept {
  const std::uint64_t offset = end_.fetch_add(bytes.size());
  write_at(bytes, offset);
  return offset;
}

Unexpected ImageWriter::failure(int sys_errno, const char* what) const {
  if (!is_full(sys_errno)) return named(sys_errno, what, temporary_, "");
  Unexpected error = named(sys_errno, what, temporary_,
                           "Make room on the disk, or save elsewhere; the old image is untouched");
  const std::uint64_t total = end_.load();
  error.value().detail = ErrorText(path_ + ": " + std::to_string(total - written_.load()) + " of " +
                                   std::to_string(total) + " bytes are missing");
  return error;
}

Expected<> ImageWriter::finish(Header header, const Directory& directory,
                               std::span<const ClusterEntry> index) {
  const ByteWriter tables = encode(directory, header.cluster_size);
  if (tables.size() > kMostDirectoryBytes)
    return fail(ErrorCode::invalid_argument, kWhat, "too many roots, or too much user data");
  ByteWriter entries;
  for (const ClusterEntry& entry : index) encode(entry, entries);
  header.clusters = static_cast<std::uint32_t>(index.size());
  header.directory_offset = append(tables.view());
  header.directory_bytes = tables.size();
  header.directory_checksum = checksum(tables.view());
  header.index_offset = append(entries.view());
  header.index_checksum = checksum(entries.view());
  header.file_bytes = end_.load();
  SaveInjection::at("header");
  write_at(encode(header).view(), 0);
  if (errno_.load() != 0) return failure(errno_.load(), kWhat);

  SaveInjection::at("fsync");
  if (::fsync(fd_) != 0) return failure(errno, kWhat);
  SaveInjection::at("rename");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failure(errno, kWhat);
  temporary_.clear();
  SaveInjection::at("fsync folder");
  return sync_folder(path_);
}

}  // namespace weir::image
