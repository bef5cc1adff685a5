#include <cstdio>
#include <vector>

#include "runtime/image/cluster_reader.hpp"
#include "tools/support/console.hpp"
#include "tools/weir/command.hpp"
#include "tools/weir/image/commands.hpp"
#include "tools/weir/image/described.hpp"

namespace weir::image_tool {
namespace {

void show_progress(std::size_t done, std::size_t all) {
  constexpr std::size_t kWidth = 40;
  const std::size_t filled = all == 0 ? kWidth : done * kWidth / all;
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {:3} %", "", filled, "", kWidth - filled,
             all == 0 ? 100 : done * 100 / all);
  if (done == all) fmt::print(stderr, "\n");
}

}  // namespace

int verify(const std::string& path, bool json) {
  const auto file = open(path);
  if (!file) return kDamaged;
  auto reader = image::ClusterReader::create(*file);
  if (!reader) {
    fmt::print(stderr, "weir: {}\n", reader.error().message());
    return kFailed;
  }
  const image::Conversion conversion = image::as_saved(*file);
  const bool is_live = !json && support::Console().is_live();
  std::vector<std::size_t> damaged;
  for (std::size_t cluster = 0; cluster < file->clusters(); ++cluster) {
    if (!file->entry(cluster).is_absent() && !reader->read(*file, cluster, conversion))
      damaged.push_back(cluster);
    if (is_live && ((cluster + 1) % 256 == 0 || cluster + 1 == file->clusters()))
      show_progress(cluster + 1, file->clusters());
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
