#include "tools/weir/image/described.hpp"

#include <cstdio>

namespace weir::image_tool {

std::optional<image::ImageFile> open(const std::string& path) {
  auto file = image::ImageFile::open(path);
  if (file) return std::move(*file);
  fmt::print(stderr, "weir: {}\n", file.error().message());
  return std::nullopt;
}

const char* name_of(heap::TraceClass trace) {
  switch (trace) {
    case heap::TraceClass::free:
      return "free";
    case heap::TraceClass::leaf:
      return "leaf";
    case heap::TraceClass::conservative:
      return "conservative";
    case heap::TraceClass::slots:
      return "slots";
    case heap::TraceClass::bitmap:
      return "bitmap";
    case heap::TraceClass::callback:
      return "callback";
  }
  return "?";
}

std::string kind_name(const image::ImageFile& file, const image::SavedCount& count) {
  const image::SavedKind* kind = file.directory().find_kind(count.number);
  return kind != nullptr ? kind->name : std::string("(") + name_of(count.trace) + ")";
}

std::string hex(std::uint64_t value) {
  return fmt::format("{:#x}", value);
}

std::string bytes(std::uint64_t value) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  auto size = static_cast<double>(value);
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} bytes", value) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::uint64_t stored_bytes(const image::ImageFile& file) {
  std::uint64_t stored = 0;
  for (std::size_t i = 0; i < file.clusters(); ++i) stored += file.entry(i).stored;
  return stored;
}

std::size_t absent_clusters(const image::ImageFile& file) {
  std::size_t absent = 0;
  for (std::size_t i = 0; i < file.clusters(); ++i) absent += file.entry(i).is_absent() ? 1 : 0;
  return absent;
}

}  // namespace weir::image_tool
