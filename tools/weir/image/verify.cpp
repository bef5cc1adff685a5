#include <cstdio>
#include <vector>

#include "runtime/image/cluster_reader.hpp"
#include "tools/support/progress_bar.hpp"
#include "tools/weir/command.hpp"
#include "tools/weir/image/commands.hpp"
#include "tools/weir/image/described.hpp"

namespace weir::image_tool {

int verify(const std::string& path, bool json) {
  const auto file = open(path);
  if (!file) return kDamaged;
  auto reader = image::ClusterReader::create(*file);
  if (!reader) {
    fmt::print(stderr, "weir: {}\n", reader.error().message());
    return kFailed;
  }
  const image::Conversion conversion = image::as_saved(*file);
  support::ProgressBar progress;
  std::vector<std::size_t> damaged;
  for (std::size_t cluster = 0; cluster < file->clusters(); ++cluster) {
    if (!file->entry(cluster).is_absent() && !reader->read(*file, cluster, conversion))
      damaged.push_back(cluster);
    progress.show(cluster + 1, file->clusters());
  }
  if (json) {
    Json out = {{"path", path},
                {"clusters", file->clusters()},
                {"whole", damaged.empty()},
                {"damaged", Json::array()}};
    for (const std::size_t cluster : damaged)
      out["damaged"].push_back({{"cluster", cluster},
                                {"offset", file->entry(cluster).offset},
                                {"stored_bytes", file->entry(cluster).stored}});
    fmt::print("{}\n", out.dump(2));
  } else {
    for (const std::size_t cluster : damaged)
      fmt::print("cluster {} is damaged: {} bytes at offset {}\n", cluster,
                 file->entry(cluster).stored, file->entry(cluster).offset);
    fmt::print("{} clusters, {}\n", file->clusters(),
               damaged.empty() ? std::string("all whole")
                               : fmt::format("{} of them damaged", damaged.size()));
  }
  return damaged.empty() ? 0 : kDamaged;
}

}  // namespace weir::image_tool
