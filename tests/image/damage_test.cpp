// Files that are not what they should be: refused, or right. A damaged cluster harms nobody but who
// touches it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "runtime/collector/images.hpp"
#include "tests/faults/rig.hpp"
#include "tests/image/oracle.hpp"

using namespace weir;
using namespace weir::test;

namespace {

using Content = std::vector<char>;

Content read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const Content& content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  REQUIRE(out.good());
}

// A small graph's image: content and what it is of.
struct Saved {
  explicit Saved(std::size_t objects, weir_codec codec = WEIR_CODEC_ZLIB,
                 std::size_t cluster_bytes = kAnyClusters)
      : graph({.objects = objects, .seed = seed_for("damage")}), path("image") {
    const TestHeap heap(small_heap());
    const Kinds kinds(heap);
    const TestMutator mutator(heap, kPrecise);
    TestFrame<1> frame(mutator);
    frame[0] = graph.build(mutator, kinds);
    weir_image_save_config config;
    weir_image_save_config_init(&config);
    const weir_image_root roots[] = {{"table", frame[0]}};
    config.roots = roots;
    config.root_count = 1;
    config.user_data = "user";
    config.user_bytes = 4;
    config.codec = codec;
    config.cluster_bytes = cluster_bytes;
    REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &config) == WEIR_OK,
                    weir_error_message());
    content = read_file(path.string());
  }
  OracleGraph graph;
  TestPath path;
  Content content;
};

}  // namespace

TEST_CASE("67: every prefix of header, directory and index is refused with a sentence") {
  const Saved saved(300);
  const auto header = image::ImageFile::open(saved.path.string());
  REQUIRE(header);
  const TestPath path("damaged");
  const auto tables = static_cast<std::size_t>(header->header().directory_offset);
  for (std::size_t size = 0; size < saved.content.size();
       size += size < image::kHeaderBytes || size >= tables ? 1 : 997) {
    CAPTURE(size);
    write_file(path.string(), Content(saved.content.begin(),
                                      saved.content.begin() + static_cast<std::ptrdiff_t>(size)));
    const auto opened = image::ImageFile::open(path.string());
    REQUIRE(!opened);
    REQUIRE(opened.error().message().find(path.string()) != std::string::npos);
  }
  Content longer = saved.content;
  longer.push_back(0);
  write_file(path.string(), longer);
  CHECK(!image::ImageFile::open(path.string()));
}

TEST_CASE("67: no byte of header, directory and index may be another") {
  const Saved saved(300);
  const auto intact = image::ImageFile::open(saved.path.string());
  REQUIRE(intact);
  const TestPath path("damaged");
  const auto tables = static_cast<std::size_t>(intact->header().directory_offset);
  for (std::size_t at = 0; at < saved.content.size(); ++at) {
    if (at == image::kHeaderBytes) at = tables;
    CAPTURE(at);
    for (const int flip : {1, 0x80}) {
      Content damaged = saved.content;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write_file(path.string(), damaged);
      REQUIRE(!image::ImageFile::open(path.string()));
    }
  }
}

// The same with checksums that fit: what is read is checked, not only whether it is what was
// written.
TEST_CASE("67: numbers that cannot be are refused, though their checksums are right") {
  for (const std::size_t cluster_bytes : {os::page_size(), heap::kBlockBytes}) {
    CAPTURE(cluster_bytes);
    const Saved saved(300, WEIR_CODEC_ZLIB, cluster_bytes);
    const auto intact = image::ImageFile::open(saved.path.string());
    REQUIRE(intact);
    const image::Header& header = intact->header();
    const auto directory = static_cast<std::size_t>(header.directory_offset);
    const auto index = static_cast<std::size_t>(header.index_offset);
    const TestPath path("damaged");
    Random random(seed_for("damage with checksums"));
    std::size_t accepted = 0;
    for (std::size_t round = 0; round < scaled(2000); ++round) {
      Content damaged = saved.content;
      const bool in_header = round % 4 == 0;
      const std::size_t at = in_header ? 8 + random() % (image::kHeaderBytes - 12)
                                       : directory + random() % (damaged.size() - directory);
      for (std::size_t i = at; i < at + 1 + random() % 8 && i < damaged.size(); ++i)
        damaged[i] = random() % 3 == 0 ? static_cast<char>(0xff) : static_cast<char>(random());
      const auto bytes = [&](std::size_t first, std::size_t past) {
        return std::as_bytes(std::span(damaged).subspan(first, past - first));
      };
      const auto put = [&](std::size_t where, std::uint32_t value) {
        std::memcpy(damaged.data() + where, &value, sizeof value);
      };
      if (!in_header) {
        put(88, image::checksum(bytes(directory, index)));
        put(92, image::checksum(bytes(index, damaged.size())));
      }
      put(252, image::checksum(bytes(0, 252)));
      write_file(path.string(), damaged);
      const auto opened = image::ImageFile::open(path.string());
      if (!opened) continue;
      // What is accepted can be opened in a heap or is refused there, and nothing else happens.
      ++accepted;
      const TestHeap heap(small_heap());
      const Kinds kinds(heap);
      weir_image* image = nullptr;
      (void)weir_image_open(heap, path.c_str(), nullptr, &image);
    }
    CHECK(accepted < scaled(2000));
  }
}

TEST_CASE(
    "49: another version, page size, byte order or kind of file is refused, with what is wrong") {
  const Saved saved(100);
  const TestPath path("other");
  const auto refused = [&](std::size_t at, std::uint32_t number, bool with_checksum,
                           const char* because) {
    Content other = saved.content;
    std::memcpy(other.data() + at, &number, sizeof number);
    const std::uint32_t checksum =
        image::checksum(std::as_bytes(std::span(other)).first(image::kHeaderBytes - 4));
    if (with_checksum)
      std::memcpy(other.data() + image::kHeaderBytes - 4, &checksum, sizeof checksum);
    write_file(path.string(), other);
    const TestHeap heap(small_heap());
    const Kinds kinds(heap);
    weir_image* image = nullptr;
    CHECK(weir_image_open(heap, path.c_str(), nullptr, &image) != WEIR_OK);
    CHECK_MESSAGE(std::string(weir_error_message()).find(because) != std::string::npos,
                  weir_error_message());
  };
  refused(0, 0x464c457f, true, "no heap image");
  refused(8, 2, true, "version 2");
  refused(12, 0x04030201, true, "byte order");
  refused(16, 16384, true, "pages of 16384 bytes");
  for (const std::uint32_t size : {0, 2048, 12288, 65537, 131072})
    refused(20, size, true, ("clusters of " + std::to_string(size) + " bytes").c_str());
  refused(24, 32, true, "granules of 32");
  refused(28, 2, true, "features");
  refused(104, 7, false, "header is damaged");
}

namespace {

// What a damaged cluster takes with it: those that begin with an object of a lost one.
std::vector<bool> lost_with(const image::ImageFile& file, std::size_t damaged) {
  std::vector<bool> lost(file.clusters());
  lost[damaged] = true;
  for (std::size_t i = damaged + 1; i < file.clusters(); ++i)
    lost[i] = file.entry(i).continues != 0 && lost[i - file.entry(i).continues];
  return lost;
}

void check_damage(const Saved& saved, const image::ImageFile& file, std::size_t damaged) {
  const std::vector<bool> lost = lost_with(file, damaged);
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  weir_image* image = nullptr;
  weir_image_open_config eager{};
  eager.filling = WEIR_IMAGE_EAGER_VERIFY;
  CHECK(weir_image_open(heap, saved.path.c_str(), &eager, &image) == WEIR_INVALID_ARGUMENT);
  CHECK(std::string(weir_error_message()).find("damaged") != std::string::npos);

  image = open_image(heap, saved.path);
  const auto& segment = *image->image->segments()[0];
  const std::size_t size = segment.cluster_size.bytes();
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (!lost[i]) continue;
    CHECK(HostSigbus::is_raised_by_reading(segment.cluster(i).begin));
    CHECK(HostSigbus::is_raised_by_reading(segment.cluster(i).end() - heap::kGranuleBytes));
    CHECK(weir_prefault(heap, segment.cluster(i).begin.as(), 100) == WEIR_INVALID_ARGUMENT);
  }
  CHECK(statistics_of(image).damaged_clusters ==
        static_cast<std::uint64_t>(std::ranges::count(lost, true)));
  auto* const* table = static_cast<void* const*>(root_of(image));
  std::size_t whole = 0;
  for (std::size_t id = 0; id < saved.graph.size(); ++id) {
    const Range object = Range::of(table[id], saved.graph.bytes_of(id));
    bool is_whole = true;
    for (Address at = object.begin.align_down(size); at < object.end(); at = at + size)
      is_whole = is_whole && !lost[segment.cluster_of(at)];
    if (!is_whole) continue;
    saved.graph.check_object(table, id);
    ++whole;
  }
  CHECK(whole > saved.graph.size() / 2);
  CHECK(whole < saved.graph.size());
  collect(mutator);
  REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
}

}  // namespace

TEST_CASE("68: a damaged cluster: its toucher gets SIGBUS, everybody else goes on") {
  HostSigbus::install();
  for (const std::size_t cluster_bytes : cluster_sizes())
    for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE}) {
      CAPTURE(cluster_bytes);
      CAPTURE(static_cast<int>(codec));
      const Saved saved(20'000, codec, cluster_bytes);
      const auto file = image::ImageFile::open(saved.path.string());
      REQUIRE(file);
      // One in the middle, where the table of all objects is not.
      const image::Segment& segment = file->directory().segments[0];
      const Range table{file->directory().roots[0].saved, saved.graph.size() * sizeof(void*)};
      const auto is_apart = [&](std::size_t cluster) {
        const std::vector<bool> lost = lost_with(*file, cluster);
        for (std::size_t i = 0; i < lost.size(); ++i)
          if (lost[i] && table.overlaps({segment.saved.begin + i * cluster_bytes, cluster_bytes}))
            return false;
        return true;
      };
      std::size_t cluster = file->clusters() / 2;
      while (file->entry(cluster).is_absent() || !is_apart(cluster)) ++cluster;
      Content damaged = saved.content;
      damaged[file->entry(cluster).offset + file->entry(cluster).stored / 2] ^= 1;
      write_file(saved.path.string(), damaged);
      check_damage(saved, *file, cluster);
    }
}

TEST_CASE("an index whose objects reach where none can is refused") {
  const Saved saved(3000, WEIR_CODEC_ZLIB, os::page_size());
  const auto file = image::ImageFile::open(saved.path.string());
  REQUIRE(file);
  const std::size_t in_block = file->cluster_size().in_block();
  const TestPath path("damaged");
  const auto opens = [&](std::size_t cluster, std::size_t at, std::uint8_t value) {
    Content changed = saved.content;
    const auto index = static_cast<std::size_t>(file->header().index_offset);
    changed[index + cluster * image::kIndexEntryBytes + at] = static_cast<char>(value);
    const auto bytes = std::as_bytes(std::span(changed));
    std::uint32_t checksum = image::checksum(bytes.subspan(index));
    std::memcpy(changed.data() + 92, &checksum, sizeof checksum);
    checksum = image::checksum(bytes.first(image::kHeaderBytes - 4));
    std::memcpy(changed.data() + image::kHeaderBytes - 4, &checksum, sizeof checksum);
    write_file(path.string(), changed);
    return image::ImageFile::open(path.string()).has_value();
  };
  constexpr std::size_t kContinues = 16, kLastKind = 21;
  bool has_chain = false, has_kind = false;
  for (std::size_t i = 1; i + 1 < file->clusters(); ++i) {
    const image::ClusterEntry& entry = file->entry(i);
    const image::ClusterEntry& next = file->entry(i + 1);
    if (entry.is_absent()) continue;
    REQUIRE(opens(i, kContinues, static_cast<std::uint8_t>(entry.continues)));
    // From the last cluster of a block, which itself begins with an object of the one before.
    if ((i + 1) % in_block == 0 && entry.continues != 0 && !next.is_absent() &&
        next.continues == 0) {
      has_chain = true;
      REQUIRE(!opens(i + 1, kContinues, 1));
    }
    if (entry.last_kind != 0) {
      has_kind = true;
      REQUIRE(next.continues == 1);
      REQUIRE(!opens(i + 1, kContinues, 0));
      REQUIRE(!opens(i, kLastKind, 119));
    } else if (next.continues != 1) {
      REQUIRE(!opens(i, kLastKind, 1));
    }
  }
  CHECK(has_chain);
  CHECK(has_kind);
}

TEST_CASE("an image that this heap cannot take is refused, and nothing changes") {
  const Saved saved(300);
  const auto refused = [&](weir_heap* heap, const char* because) {
    weir_image* image = nullptr;
    CHECK(weir_image_open(heap, saved.path.c_str(), nullptr, &image) != WEIR_OK);
    CHECK_MESSAGE(std::string(weir_error_message()).find(because) != std::string::npos,
                  weir_error_message());
  };
  const TestHeap without_kinds(small_heap());
  refused(without_kinds, "needs a kind");
  weir_config encoded = small_heap();
  encoded.slot_mask = ~std::uintptr_t{7};
  const TestHeap with_tags(encoded);
  const Kinds kinds(with_tags);
  refused(with_tags, "encoded otherwise");
  weir_image* image = nullptr;
  CHECK(weir_image_open(with_tags, "/nowhere/at all", nullptr, &image) == WEIR_SYSTEM);
  CHECK(std::string(weir_error_message()).find("/nowhere/at all") != std::string::npos);
  CHECK(weir_image_open(with_tags, "/", nullptr, &image) == WEIR_INVALID_ARGUMENT);
}

TEST_CASE("user data, and roots by name") {
  const Saved saved(10);
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  weir_image* image = open_image(heap, saved.path);
  std::size_t bytes = 0;
  CHECK(std::memcmp(weir_image_user_data(image, &bytes), "user", 4) == 0);
  CHECK(bytes == 4);
  void* object = nullptr;
  CHECK(weir_image_root_get(image, "nobody", &object) == WEIR_NOT_FOUND);
}
