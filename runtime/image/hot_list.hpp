// Which clusters of an image a run touched, in that order, as a small text file: the next run
// brings them in ahead (recorded working sets, as REAP has them for virtual machines: Ustiugov et
// al., 2021).
//
//   weir hot list of image 0123456789abcdef
//   17
//   4
//   ...
#pragma once

#include <cstdint>
#include <string>
#include <vector>
#include <weir/error.hpp>

#include "runtime/image/image_file.hpp"
#include "runtime/image/pager.hpp"

namespace weir::image {

// Beside its final name first, so that there is an old one or a new one.
Expected<> write_hot_list(const std::string& path, const ImageFile& file, const Pager& pager);
// Of this image, each cluster once; nothing where there is no such file, or it is another image's:
// it is advice. Errors: invalid_argument (it is no hot list), or what reading it gives.
Expected<std::vector<std::uint32_t>> read_hot_list(const std::string& path, const ImageFile& file);

}  // namespace weir::image
