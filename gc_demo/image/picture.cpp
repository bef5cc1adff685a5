#include "gc_demo/image/picture.hpp"

#include "runtime/collector/images.hpp"

namespace weir::image_demo {
namespace {

char letter_of(const weir_image& image, std::size_t cluster) {
  if (image.image->file().entry(cluster).is_absent()) return ' ';
  switch (image.image->pager().state(cluster)) {
    case image::ClusterState::lazy:
      return '.';
    case image::ClusterState::filling:  // all there, and about to be told
    case image::ClusterState::filled:
      return image.escaped->is_modified(cluster) ? '*' : '#';
    case image::ClusterState::damaged:
      return '!';
  }
  return '?';
}

}  // namespace

std::vector<std::string> picture_of(weir_image* image) {
  constexpr std::size_t kInRow = 96;
  std::vector<std::string> rows;
  for (std::size_t cluster = 0; cluster < image->image->file().clusters(); ++cluster) {
    if (cluster % kInRow == 0) rows.emplace_back("  ");
    rows.back() += letter_of(*image, cluster);
  }
  return rows;
}

}  // namespace weir::image_demo
