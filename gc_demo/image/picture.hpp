// An image as it is in memory: a character for each cluster.
#pragma once

#include <weir/weir.h>

#include <string>
#include <vector>

namespace weir::image_demo {

// '.' on disk, '#' in memory, '*' in memory and written, '!' damaged, ' ' no objects there.
std::vector<std::string> picture_of(weir_image* image);

}  // namespace weir::image_demo
