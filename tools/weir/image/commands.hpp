// What `weir image` does with a file: each prints, as text or as one JSON document, and returns the
// exit code. Nothing of a heap is needed.
#pragma once

#include <string>

namespace weir::image_tool {

constexpr int kDamaged = 1;  // exit code: something is wrong with the image

int info(const std::string& path, bool json);
int list(const std::string& path, bool json);
int verify(const std::string& path, bool json);
int hot(const std::string& path, const std::string& list, bool json);

}  // namespace weir::image_tool
