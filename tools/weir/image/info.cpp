#include <algorithm>
#include <vector>

#include "tools/weir/image/commands.hpp"
#include "tools/weir/image/described.hpp"

namespace weir::image_tool {
namespace {

// By codec: clusters, and their bytes in the file.
struct ByCodec {
  std::size_t clusters = 0;
  std::uint64_t stored = 0;
};

std::array<ByCodec, image::kCodecs.size()> by_codec(const image::ImageFile& file) {
  std::array<ByCodec, image::kCodecs.size()> codecs;
  for (std::size_t i = 0; i < file.clusters(); ++i) {
    const image::ClusterEntry& entry = file.entry(i);
    if (entry.is_absent()) continue;
    ByCodec& codec = codecs[static_cast<std::size_t>(entry.codec)];
    ++codec.clusters;
    codec.stored += entry.stored;
  }
  return codecs;
}

// What a share of the clusters needs at most: 50 for the median.
std::uint32_t stored_at(const image::ImageFile& file, unsigned percent) {
  std::vector<std::uint32_t> sizes;
  for (std::size_t i = 0; i < file.clusters(); ++i)
    if (!file.entry(i).is_absent()) sizes.push_back(file.entry(i).stored);
  if (sizes.empty()) return 0;
  std::ranges::sort(sizes);
  return sizes[(sizes.size() - 1) * percent / 100];
}

void print_json(const image::ImageFile& file) {
  const image::Header& header = file.header();
  Json json = {{"path", file.path()},
               {"id", hex(header.image_id)},
               {"version", image::kVersion},
               {"file_bytes", header.file_bytes},
               {"page_bytes", header.page_bytes},
               {"own_address_only", header.is_fixed},
               {"objects", header.objects},
               {"object_bytes", header.object_bytes},
               {"cluster_bytes", file.cluster_size().bytes()},
               {"clusters", file.clusters()},
               {"absent_clusters", absent_clusters(file)},
               {"stored_bytes", stored_bytes(file)},
               {"stored_bytes_p50", stored_at(file, 50)},
               {"stored_bytes_max", stored_at(file, 100)},
               {"roots", file.directory().roots.size()},
               {"user_bytes", file.directory().user_data.size()}};
  json["codecs"] = Json::object();
  for (const image::Codec codec : image::kCodecs) {
    const ByCodec used = by_codec(file)[static_cast<std::size_t>(codec)];
    if (used.clusters != 0)
      json["codecs"][image::name_of(codec)] = {{"clusters", used.clusters},
                                               {"stored_bytes", used.stored}};
  }
  json["kinds"] = Json::array();
  for (const image::SavedCount& count : file.directory().counts)
    json["kinds"].push_back({{"name", kind_name(file, count)},
                             {"tracing", name_of(count.trace)},
                             {"objects", count.objects},
                             {"bytes", count.bytes}});
  fmt::print("{}\n", json.dump(2));
}

void print_text(const image::ImageFile& file) {
  const image::Header& header = file.header();
  const std::size_t there = file.clusters() - absent_clusters(file);
  const std::uint64_t whole = there * file.cluster_size().bytes();
  fmt::print("{}\n", file.path());
  fmt::print("  image        {}, version {}, pages of {} bytes\n", hex(header.image_id),
             image::kVersion, header.page_bytes);
  fmt::print("  opens        {}\n", header.is_fixed
                                        ? "at its own address only: it has conservative objects"
                                        : "at its own address, or anywhere else");
  fmt::print("  objects      {} in {}\n", header.objects, bytes(header.object_bytes));
  fmt::print("  clusters     {} of {}, and {} without objects\n", there,
             bytes(file.cluster_size().bytes()), absent_clusters(file));
  fmt::print("  file         {}", bytes(header.file_bytes));
  if (whole != 0)
    fmt::print(", clusters {:.1f} % of their size (median {}, largest {})",
               100.0 * static_cast<double>(stored_bytes(file)) / static_cast<double>(whole),
               bytes(stored_at(file, 50)), bytes(stored_at(file, 100)));
  fmt::print("\n");
  for (const image::Codec codec : image::kCodecs) {
    const ByCodec used = by_codec(file)[static_cast<std::size_t>(codec)];
    if (used.clusters != 0)
      fmt::print("  codec        {}: {} clusters, {}\n", image::name_of(codec), used.clusters,
                 bytes(used.stored));
  }
  fmt::print("  roots        {}\n  user data    {}\n", file.directory().roots.size(),
             bytes(file.directory().user_data.size()));
  auto counts = file.directory().counts;
  std::ranges::sort(counts, std::ranges::greater(), &image::SavedCount::bytes);
  fmt::print("\n  {:<32} {:<12} {:>12} {:>12}\n", "kind", "traced by", "objects", "size");
  for (const image::SavedCount& count : counts)
    fmt::print("  {:<32} {:<12} {:>12} {:>12}\n", kind_name(file, count), name_of(count.trace),
               count.objects, bytes(count.bytes));
}

}  // namespace

int info(const std::string& path, bool json) {
  const auto file = open(path);
  if (!file) return kDamaged;
  if (json)
    print_json(*file);
  else
    print_text(*file);
  return 0;
}

}  // namespace weir::image_tool
