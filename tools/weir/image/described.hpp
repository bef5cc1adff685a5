// An image as the subcommands show it.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "runtime/image/image_file.hpp"

namespace weir::image_tool {

using Json = nlohmann::ordered_json;

// Nothing, after a sentence on stderr, if it cannot be opened.
std::optional<image::ImageFile> open(const std::string& path);
std::string kind_name(const image::ImageFile& file, const image::SavedCount& count);
const char* name_of(heap::TraceClass trace);
std::string hex(std::uint64_t value);
std::string bytes(std::uint64_t value);  // 12.3 MiB
std::uint64_t stored_bytes(const image::ImageFile& file);
std::size_t absent_clusters(const image::ImageFile& file);

}  // namespace weir::image_tool
