#include "gc_demo/manager/image_pages.hpp"

#include <cstring>

namespace weir::manager {

Expected<std::unique_ptr<ImagePages>> ImagePages::open(const std::string& path) {
  auto file = image::ImageFile::open(path);
  if (!file) return Unexpected(file.error());
  if (file->directory().segments.size() != 1)
    return fail(ErrorCode::unsupported, "serving a heap image", ErrorText(path), {},
                "It has several segments, or none; save it compact");
  auto reader = image::ClusterReader::create(*file);
  if (!reader) return Unexpected(reader.error());
  std::unique_ptr<ImagePages> pages(new ImagePages(std::move(*file), std::move(*reader)));
  const std::size_t clusters = pages->file_.clusters();
  auto is_there = os::OffHeapArray<bool>::create(clusters);
  if (!is_there) return Unexpected(is_there.error());
  auto memory = os::OffHeapArray<std::byte>::create(clusters * pages->file_.cluster_size().bytes());
  if (!memory) return Unexpected(memory.error());
  pages->is_there_ = std::move(*is_there);
  pages->memory_ = std::move(*memory);
  pages->conversion_ = image::as_saved(pages->file_);
  for (std::size_t i = 0; i < clusters; ++i)
    if (!pages->file_.entry(i).is_absent()) ++pages->present_;
  return pages;
}

const std::byte* ImagePages::at(std::size_t offset) noexcept {
  const std::size_t size = file_.cluster_size().bytes();
  const std::size_t cluster = offset / size;
  if (!is_there_[cluster] && !file_.entry(cluster).is_absent()) {
    const auto decoded = reader_.read(file_, cluster, conversion_);
    if (!decoded) return nullptr;
    std::memcpy(&memory_[cluster * size], decoded->objects().data(), size);
    is_there_[cluster] = true;
    ++inflated_;
  }
  return &memory_[offset];
}

bool ImagePages::read(std::size_t offset, std::span<std::byte> page) noexcept {
  const std::byte* const bytes = at(offset);
  if (bytes != nullptr) std::memcpy(page.data(), bytes, page.size());
  return bytes != nullptr;
}

std::uint64_t ImagePages::word_at(std::size_t offset) noexcept {
  std::uint64_t word = 0;
  if (const std::byte* const bytes = at(offset); bytes != nullptr)
    std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace weir::manager
