// Several images in one heap, which is saved again as one: what the file means the same by is
// copied as it is, the rest is made anew.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "runtime/image/image_file.hpp"
#include "runtime/image/image_writer.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/image/oracle.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Source {
  explicit Source(std::uint64_t seed) : graph({.objects = 4000, .seed = seed}) {}
  OracleGraph graph;
  TestPath path{"image"};
};

void store(weir_mutator* mutator, void* object, std::size_t word, void* value) {
  void** slot = static_cast<void**>(object) + word;
  *slot = value;
  weir_write_barrier(mutator, object, slot);
}

// Saved one after the other, or from heaps that exist at the same time: at the same addresses,
// unless something else is mapped there meanwhile (a sanitizer's memory), or at others. Whether at
// the same.
bool save_both(const Source& first, const Source& second, bool at_same_address) {
  auto one = std::make_unique<TestHeap>(small_heap());
  const auto save_in = [](weir_heap* heap, const Source& source) {
    const Kinds kinds(heap);
    const TestMutator mutator(heap, kPrecise);
    TestFrame<1> frame(mutator);
    frame[0] = source.graph.build(mutator, kinds);
    save(mutator, source.path, frame[0]);
    return reinterpret_cast<std::uintptr_t>(frame[0]);
  };
  const std::uintptr_t first_root = save_in(*one, first);
  if (at_same_address) one.reset();
  const TestHeap two(small_heap());
  const std::uintptr_t second_root = save_in(two, second);
  const std::uintptr_t apart =
      std::max(first_root, second_root) - std::min(first_root, second_root);
  return apart < small_heap().maximum_bytes;
}

}  // namespace

TEST_CASE("a heap with several images is saved as one, and refers to itself across them") {
  const std::uint64_t seed = seed_for("several images");
  const Source first(seed), second(seed + 1);
  const OracleGraph own({.objects = 500, .seed = seed + 2});
  for (const bool at_same_address : {true, false})
    for (const weir_barrier barrier :
         {WEIR_BARRIER_ASYNC, WEIR_BARRIER_MPROTECT, WEIR_BARRIER_CARDS}) {
      CAPTURE(at_same_address);
      CAPTURE(static_cast<int>(barrier));
      weir_config config = small_heap();
      config.verify = true;
      config.barrier = barrier;
      if (!TestHeap::can_be_made(config)) continue;
      const bool is_at_same_address = save_both(first, second, at_same_address);
      if (!at_same_address) REQUIRE_FALSE(is_at_same_address);
      const TestPath joint("joint");
      {
        const TestHeap heap(config);
        const Kinds kinds(heap);
        const TestMutator mutator(heap, kPrecise);
        TestFrame<1> frame(mutator);
        weir_image* a = open_image(heap, first.path);
        weir_image* b = open_image(heap, second.path);
        void* const a_table = root_of(a);
        void* const b_table = root_of(b);
        frame[0] = own.build(mutator, kinds);
        store(mutator, a_table, 3, b_table);
        store(mutator, b_table, 5, a_table);
        store(mutator, a_table, 7, frame[0]);
        store(mutator, frame[0], 9, b_table);
        const std::uint64_t filled =
            statistics_of(a).filled_clusters + statistics_of(b).filled_clusters;
        const weir_image_root roots[] = {{"a", a_table}, {"b", b_table}, {"own", frame[0]}};
        weir_image_save_config saving;
        weir_image_save_config_init(&saving);
        saving.roots = roots;
        saving.root_count = 3;
        REQUIRE_MESSAGE(weir_image_save(mutator, joint.c_str(), &saving) == WEIR_OK,
                        weir_error_message());
        const std::uint64_t after =
            statistics_of(a).filled_clusters + statistics_of(b).filled_clusters;
        CHECK((after == filled) == !is_at_same_address);
      }
      const TestHeap heap(config);
      const Kinds kinds(heap);
      const TestMutator mutator(heap, kPrecise);
      weir_image* image = open_image(heap, joint);
      CHECK(statistics_of(image).filled_clusters == 0);
      auto** a_table = static_cast<void**>(root_of(image, "a"));
      auto** b_table = static_cast<void**>(root_of(image, "b"));
      auto** own_table = static_cast<void**>(root_of(image, "own"));
      CHECK(a_table[3] == b_table);
      CHECK(b_table[5] == a_table);
      CHECK(a_table[7] == own_table);
      CHECK(own_table[9] == b_table);
      const auto check = [](const OracleGraph& graph, void** table,
                            std::initializer_list<std::size_t> replaced) {
        for (std::size_t i = 0; i < graph.size(); ++i) {
          bool is_whole = true;
          for (const std::size_t other : replaced)
            is_whole = is_whole && i != other && !graph.refers_to(i, other);
          if (is_whole) graph.check_object(table, i);
        }
      };
      check(first.graph, a_table, {3, 7});
      check(second.graph, b_table, {5});
      check(own, own_table, {9});
      collect(mutator);
    }
}

TEST_CASE("what cannot be called the same in one file is refused with a sentence") {
  const auto refused = [](weir_mutator* mutator, void* root, const char* because) {
    const TestPath path("refused");
    const weir_image_root roots[] = {{"root", root}};
    weir_image_save_config saving;
    weir_image_save_config_init(&saving);
    saving.roots = roots;
    saving.root_count = 1;
    CHECK(weir_image_save(mutator, path.c_str(), &saving) == WEIR_UNSUPPORTED);
    CHECK_MESSAGE(std::string(weir_error_message()).find(because) != std::string::npos,
                  weir_error_message());
  };
  const Source source(seed_for("refused"));
  const TestHeap heap(small_heap());  // at whose address the image was saved, or near it
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = source.graph.build(mutator, kinds);
  save(mutator, source.path, frame[0]);
  weir_image* image = open_image(heap, source.path);
  REQUIRE(!statistics_of(image).at_saved_address);
  frame[0] = weir_allocate(mutator, kinds.conservative, 64);
  refused(mutator, frame[0], "conservative");
}

TEST_CASE("one name for different memory in two images is refused when they are saved as one") {
  static long here[8], there[8];
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = weir_allocate(mutator, WEIR_KIND_SLOTS, 64);
  *static_cast<void**>(frame[0]) = &here[1];
  const weir_image_root roots[] = {{"root", frame[0]}};
  const weir_image_name name_here[] = {{"the name", here, sizeof here}};
  const weir_image_name name_there[] = {{"the name", there, sizeof there}};
  weir_image_save_config saving;
  weir_image_save_config_init(&saving);
  saving.roots = roots;
  saving.root_count = 1;
  saving.names = name_here;
  saving.name_count = 1;
  const TestPath path("image");
  const TestPath joint("joint");
  REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &saving) == WEIR_OK, weir_error_message());
  for (const auto* name : {name_here, name_there}) {
    weir_image_open_config open{};
    open.names = name;
    open.name_count = 1;
    weir_image* image = nullptr;
    REQUIRE_MESSAGE(weir_image_open(heap, path.c_str(), &open, &image) == WEIR_OK,
                    weir_error_message());
  }
  CHECK(weir_image_save(mutator, joint.c_str(), &saving) == WEIR_INVALID_ARGUMENT);
  CHECK_MESSAGE(std::string(weir_error_message()).find("'the name'") != std::string::npos,
                weir_error_message());
}

namespace {

using Named = std::vector<weir_image_name>;

// An image without objects that refers to names at these saved addresses.
void write_names(const TestPath& path, const std::vector<std::pair<const char*, Range>>& saved) {
  image::Directory directory;
  for (const auto& [name, range] : saved)
    directory.outside.push_back({image::Outside::By::name, name, {}, range});
  image::Header header;
  header.page_bytes = static_cast<std::uint32_t>(os::page_size());
  header.slot_mask = header.conservative_mask = ~std::uint64_t{0};
  auto writer = image::ImageWriter::create(path.string());
  REQUIRE(writer);
  REQUIRE((*writer)->finish(header, directory, {}));
}

weir_image* open_named(weir_heap* heap, const TestPath& path, const Named& names) {
  weir_image_open_config open{};
  open.names = names.data();
  open.name_count = names.size();
  weir_image* image = nullptr;
  REQUIRE_MESSAGE(weir_image_open(heap, path.c_str(), &open, &image) == WEIR_OK,
                  weir_error_message());
  return image;
}

void save_named(weir_mutator* mutator, const TestPath& path, void* root, const Named& names) {
  const weir_image_root roots[] = {{"root", root}};
  weir_image_save_config saving;
  weir_image_save_config_init(&saving);
  saving.roots = roots;
  saving.root_count = 1;
  saving.names = names.data();
  saving.name_count = names.size();
  REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &saving) == WEIR_OK, weir_error_message());
}

}  // namespace

TEST_CASE("an image without objects keeps what it calls its names, against the next one") {
  static long here[8], there[8];
  const Named names = {{"here", here, sizeof here}, {"there", there, sizeof there}};
  const TestPath empty("empty"), path("image"), joint("joint");
  {
    const TestHeap heap(small_heap());
    const TestMutator mutator(heap, kPrecise);
    TestFrame<1> frame(mutator);
    frame[0] = weir_allocate(mutator, WEIR_KIND_SLOTS, 64);
    *static_cast<void**>(frame[0]) = &here[1];
    save_named(mutator, path, frame[0], names);
  }
  const auto file = image::ImageFile::open(path.string());
  REQUIRE(file);
  const Range saved = file->directory().outside.at(0).saved;
  write_names(empty, {{"there", saved}});  // which the other calls `here`
  {
    const TestHeap heap(small_heap());
    const TestMutator mutator(heap, kPrecise);
    (void)open_named(heap, empty, names);
    weir_image* image = open_named(heap, path, names);
    save_named(mutator, joint, root_of(image, "root"), names);
  }
  const TestHeap heap(small_heap());
  CHECK(*static_cast<void**>(root_of(open_named(heap, joint, names), "root")) == &here[1]);
}

TEST_CASE("a name whose first bytes have another one besides is known for what it is") {
  static long here[8], there[8];
  const Named names = {{"first", here, sizeof(long)}, {"all", there, sizeof there}};
  const TestPath path("image"), again("again");
  const Address saved(std::uintptr_t{1} << 40);
  write_names(path, {{"first", {saved, sizeof(long)}}, {"all", {saved, sizeof there}}});
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  (void)open_named(heap, path, names);
  save_named(mutator, again, nullptr, names);
}
