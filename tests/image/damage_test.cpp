// Files that are not what they should be: refused, or right. A damaged cluster harms nobody but who
// touches it.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "runtime/image/image_file.hpp"
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
  explicit Saved(std::size_t objects, weir_codec codec = WEIR_CODEC_ZLIB)
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
  const Saved saved(300);
  const auto intact = image::ImageFile::open(saved.path.string());
  REQUIRE(intact);
  const image::Header& header = intact->header();
  const auto directory = static_cast<std::size_t>(header.directory_offset);
  const auto index = static_cast<std::size_t>(header.index_offset);
  const TestPath path("damaged");
  Random random(seed_for("damage with checksums"));
  std::size_t accepted = 0;
  for (std::size_t round = 0; round < scaled(4000); ++round) {
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
  CHECK(accepted < scaled(4000));
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
  refused(20, 32768, true, "clusters of 32768 bytes");
  refused(24, 32, true, "granules of 32");
  refused(28, 2, true, "features");
  refused(104, 7, false, "header is damaged");
}

TEST_CASE("68: a damaged cluster: its toucher gets SIGBUS, everybody else goes on") {
  HostSigbus::install();
  for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE}) {
    const Saved saved(20'000, codec);
    const auto file = image::ImageFile::open(saved.path.string());
    REQUIRE(file);
    // One in the middle that begins no object of others.
    std::size_t cluster = file->clusters() / 2;
    while (file->entry(cluster).is_absent() || file->entry(cluster).continues != 0 ||
           file->entry(cluster + 1).continues != 0)
      ++cluster;
    Content damaged = saved.content;
    damaged[file->entry(cluster).offset + file->entry(cluster).stored / 2] ^= 1;
    write_file(saved.path.string(), damaged);

    const TestHeap heap(small_heap());
    const Kinds kinds(heap);
    const TestMutator mutator(heap, kPrecise);
    weir_image* image = nullptr;
    weir_image_open_config eager{};
    eager.filling = WEIR_IMAGE_EAGER_VERIFY;
    CHECK(weir_image_open(heap, saved.path.c_str(), &eager, &image) == WEIR_INVALID_ARGUMENT);
    CHECK(std::string(weir_error_message()).find("damaged") != std::string::npos);

    image = open_image(heap, saved.path);
    auto* const* table = static_cast<void* const*>(root_of(image));
    const auto begin = reinterpret_cast<std::uintptr_t>(table) & ~std::uintptr_t{0xffff};
    const auto saved_root = file->directory().roots[0].saved.value() & ~std::uintptr_t{0xffff};
    const std::uintptr_t base =
        begin - (saved_root - file->directory().segments[0].saved.begin.value());
    const Address bad(base + cluster * image::kClusterBytes);
    CHECK(HostSigbus::is_raised_by_reading(bad));
    CHECK(HostSigbus::is_raised_by_reading(bad + 0xfff0));
    CHECK(weir_prefault(heap, bad.as(), 100) == WEIR_INVALID_ARGUMENT);
    CHECK(statistics_of(image).damaged_clusters == 1);
    for (std::size_t i = 0; i < saved.graph.size(); ++i) {
      const auto at = reinterpret_cast<std::uintptr_t>(table[i]);
      if (at - bad.value() >= image::kClusterBytes) saved.graph.check_object(table, i);
    }
    collect(mutator);
    REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
  }
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
