// libFuzzer: any bytes as a heap image. Checksums are made right first, or nothing behind them
// would ever be reached; then all of it is read, and every cluster is decoded and translated.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/image/cluster_reader.hpp"
#include "runtime/image/hot_list.hpp"

namespace {

using namespace weir;
using namespace weir::image;

using Content = std::vector<std::byte>;

template <class Number>
Number number_at(const Content& file, std::size_t at) {
  Number number;
  std::memcpy(&number, file.data() + at, sizeof number);
  return number;
}

void put(Content& file, std::size_t at, std::uint32_t number) {
  std::memcpy(file.data() + at, &number, sizeof number);
}

bool lies_within(const Content& file, std::uint64_t offset, std::uint64_t bytes) {
  return offset <= file.size() && bytes <= file.size() - offset;
}

std::uint32_t checksum_of(const Content& file, std::uint64_t offset, std::uint64_t bytes) {
  return checksum(Bytes(file).subspan(offset, bytes));
}

void make_checksums_right(Content& file) {
  if (file.size() < kHeaderBytes) return;
  const std::uint64_t size = file.size();
  std::memcpy(file.data() + 40, &size, sizeof size);
  const auto clusters = number_at<std::uint32_t>(file, 68);
  const auto directory = number_at<std::uint64_t>(file, 72);
  const auto directory_bytes = number_at<std::uint64_t>(file, 80);
  const auto index = number_at<std::uint64_t>(file, 96);
  const std::uint64_t index_bytes = std::uint64_t{clusters} * kIndexEntryBytes;
  if (index >= kHeaderBytes && lies_within(file, index, index_bytes)) {
    for (std::uint64_t entry = index; entry < index + index_bytes; entry += kIndexEntryBytes) {
      const auto offset = number_at<std::uint64_t>(file, entry);
      const auto stored = number_at<std::uint32_t>(file, entry + 8);
      if (stored != 0 && offset + stored <= index && lies_within(file, offset, stored))
        put(file, entry + 12, checksum_of(file, offset, stored));
    }
    put(file, 92, checksum_of(file, index, index_bytes));
  }
  if (lies_within(file, directory, directory_bytes))
    put(file, 88, checksum_of(file, directory, directory_bytes));
  put(file, kHeaderBytes - 4, checksum_of(file, 0, kHeaderBytes - 4));
}

// Everything 1 GiB further up.
Conversion moved(const ImageFile& file) {
  Conversion conversion = as_saved(file);
  for (const Segment& segment : file.directory().segments)
    conversion.translation.add(segment.saved, segment.saved.begin + (std::size_t{1} << 30));
  for (const Outside& outside : file.directory().outside)
    conversion.translation.add(outside.saved, outside.saved.begin + (std::size_t{1} << 30));
  return conversion;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Content content(size);
  if (size != 0) std::memcpy(content.data(), data, size);
  make_checksums_right(content);
  static const int fd = ::memfd_create("image", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
    std::abort();
  const auto file = ImageFile::open(path);
  if (!file) return 0;
  auto reader = ClusterReader::create(*file);
  if (!reader) return 0;
  const Conversion conversion = moved(*file);
  constexpr std::size_t kMostRead = 64;  // of an index that points to the same bytes many times
  std::size_t read = 0;
  for (std::size_t i = 0; i < file->clusters() && read < kMostRead; ++i)
    if (!file->entry(i).is_absent()) {
      (void)reader->read(*file, i, conversion);
      ++read;
    }
  return 0;
}
