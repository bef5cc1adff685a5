#include "runtime/image/hot_list.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace weir::image {
namespace {

constexpr char kTitle[] = "weir hot list of image ";

std::string title_of(const ImageFile& file) {
  char text[64];
  std::snprintf(text, sizeof text, "%s%016" PRIx64, kTitle, file.header().image_id);
  return text;
}

Unexpected named(Unexpected error, const std::string& path) {
  error.value().detail = ErrorText(path);
  return error;
}

}  // namespace

Expected<> write_hot_list(const std::string& path, const ImageFile& file, const Pager& pager) {
  constexpr const char* kWhat = "writing a hot list";
  std::string text = title_of(file) + "\n";
  for (const auto& cluster : pager.order()) text += std::to_string(cluster.load()) + "\n";
  const std::string temporary = path + ".tmp-" + std::to_string(::getpid());
  std::ofstream out(temporary, std::ios::trunc);
  out << text;
  out.close();
  if (!out || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int why = errno;
    ::unlink(temporary.c_str());
    return named(system_error(why, kWhat), path);
  }
  return {};
}

Expected<std::vector<std::uint32_t>> read_hot_list(const std::string& path, const ImageFile& file) {
  constexpr const char* kWhat = "reading a hot list";
  std::vector<std::uint32_t> clusters;
  std::ifstream in(path);
  if (!in) {
    if (errno == ENOENT) return clusters;
    return named(system_error(errno, kWhat), path);
  }
  std::string line;
  if (!std::getline(in, line) || !line.starts_with(kTitle))
    return named(fail(ErrorCode::invalid_argument, kWhat), path);
  if (line != title_of(file)) return clusters;
  std::vector<bool> is_known(file.clusters());
  while (std::getline(in, line)) {
    std::uint32_t cluster = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), cluster);
    if (error != std::errc() || end != line.data() + line.size() || cluster >= file.clusters())
      return named(fail(ErrorCode::invalid_argument, kWhat), path);
    if (!is_known[cluster]) clusters.push_back(cluster);
    is_known[cluster] = true;
  }
  return clusters;
}

}  // namespace weir::image
