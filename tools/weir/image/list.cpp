#include "runtime/image/hot_list.hpp"
#include "tools/weir/image/commands.hpp"
#include "tools/weir/image/described.hpp"

namespace weir::image_tool {
namespace {

std::string build_id_of(const image::Outside& outside) {
  std::string text;
  for (const unsigned char byte : outside.build_id) text += fmt::format("{:02x}", byte);
  return text;
}

const char* by(const image::Outside& outside) {
  return outside.by == image::Outside::By::module ? "module" : "name";
}

}  // namespace

int list(const std::string& path, bool json) {
  const auto file = open(path);
  if (!file) return kDamaged;
  const image::Directory& directory = file->directory();
  if (json) {
    Json out = {{"path", path},
                {"roots", Json::array()},
                {"segments", Json::array()},
                {"outside", Json::array()}};
    for (const image::SavedRoot& root : directory.roots)
      out["roots"].push_back({{"name", root.name}, {"saved_address", hex(root.saved.value())}});
    for (const image::Segment& segment : directory.segments)
      out["segments"].push_back({{"saved_address", hex(segment.saved.begin.value())},
                                 {"clusters", segment.saved.size / file->cluster_size().bytes()}});
    for (const image::Outside& outside : directory.outside)
      out["outside"].push_back({{"by", by(outside)},
                                {"name", outside.name},
                                {"build_id", build_id_of(outside)},
                                {"saved_address", hex(outside.saved.begin.value())},
                                {"bytes", outside.saved.size}});
    fmt::print("{}\n", out.dump(2));
    return 0;
  }
  for (const image::Segment& segment : directory.segments)
    fmt::print("segment  {:<18} {}\n", hex(segment.saved.begin.value()), bytes(segment.saved.size));
  for (const image::SavedRoot& root : directory.roots)
    fmt::print("root     {:<18} {}\n", hex(root.saved.value()), root.name);
  for (const image::Outside& outside : directory.outside)
    fmt::print("{:<8} {:<18} {} ({}{}{})\n", by(outside), hex(outside.saved.begin.value()),
               outside.name, bytes(outside.saved.size),
               outside.build_id.empty() ? "" : ", build id ", build_id_of(outside));
  return 0;
}

int hot(const std::string& path, const std::string& list, bool json) {
  const auto file = open(path);
  if (!file) return kDamaged;
  const auto clusters = image::read_hot_list(list, *file);
  if (!clusters) {
    fmt::print(stderr, "weir: {}\n", clusters.error().message());
    return kDamaged;
  }
  std::uint64_t stored = 0;
  for (const std::uint32_t cluster : *clusters) stored += file->entry(cluster).stored;
  if (json) {
    fmt::print("{}\n", Json{{"path", path},
                            {"list", list},
                            {"clusters", *clusters},
                            {"stored_bytes", stored},
                            {"of_clusters", file->clusters()}}
                           .dump(2));
    return 0;
  }
  fmt::print("{} of {} clusters ({:.1f} %), {} of the file\n", clusters->size(), file->clusters(),
             file->clusters() == 0 ? 0.0
                                   : 100.0 * static_cast<double>(clusters->size()) /
                                         static_cast<double>(file->clusters()),
             bytes(stored));
  for (const std::uint32_t cluster : *clusters) fmt::print("{}\n", cluster);
  return 0;
}

}  // namespace weir::image_tool
