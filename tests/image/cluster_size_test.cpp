// Clusters of other sizes than a block: what of them the rest of the tests does not see.
#include <memory>
#include <vector>

#include "runtime/collector/images.hpp"
#include "tests/image/oracle.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Opened {
  explicit Opened(const TestPath& path, weir_image_filling filling = WEIR_IMAGE_LAZY)
      : heap(small_heap()),
        kinds(heap),
        mutator(heap, kPrecise),
        frame(mutator),
        image(open_image(heap, path, filling)) {}
  void* table() const { return root_of(image); }
  TestHeap heap;
  Kinds kinds;
  TestMutator mutator;
  TestFrame<1> frame;
  weir_image* image;
};

}  // namespace

TEST_CASE("a size that clusters cannot have is refused, and nothing is written") {
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  CHECK(config.cluster_bytes == 0);
  const TestPath path("image");
  for (const std::size_t size : {std::size_t{1}, os::page_size() / 2, os::page_size() * 3,
                                 heap::kBlockBytes * 2, std::size_t{1} << 40}) {
    config.cluster_bytes = size;
    CHECK(weir_image_save(mutator, path.c_str(), &config) == WEIR_INVALID_ARGUMENT);
    const std::string message = weir_error_message();
    CHECK_MESSAGE(message.find("clusters of " + std::to_string(size)) != std::string::npos,
                  message);
    CHECK(!image::ImageFile::open(path.string()));
  }
}

// Of whatever page is there, the collector has to find the objects, with their kinds, though they
// may begin on another, and their kind's number be on a third.
TEST_CASE("of each page that is there, the objects are the same as when all is there") {
  const std::uint64_t seed = seed_for("objects of pages");
  const OracleGraph graph({.objects = 5000, .seed = seed});
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const TestPath path("image");
    save_graph(graph, path, cluster_bytes);
    const Opened whole(path, WEIR_IMAGE_EAGER);
    const auto& all = *whole.image->image->segments()[0];
    const auto ends_with_start = [&](std::size_t cluster) {
      return whole.image->image->file().entry(cluster).last_kind != 0;
    };
    std::vector<std::size_t> with_start;
    for (std::size_t cluster = 0; cluster < all.clusters(); ++cluster)
      if (ends_with_start(cluster)) with_start.push_back(cluster);
    Random random(seed);
    std::size_t looked_at = 0, at_the_end = 0;
    for (int round = 0; round < 20; ++round) {
      const Opened part(path);
      const auto& segment = *part.image->image->segments()[0];
      for (int touched = 0; touched < 3; ++touched)
        (void)*(segment.range.begin + random() % segment.range.size).as<const volatile char>();
      if (!with_start.empty())
        (void)*segment.cluster(with_start[random() % with_start.size()])
            .begin.as<const volatile char>();
      for (std::size_t cluster = 0; cluster < segment.clusters(); ++cluster) {
        const Range range = segment.cluster(cluster);
        if (!part.image->image->is_filled(range.begin)) continue;
        at_the_end += ends_with_start(cluster) ? 1 : 0;
        for (Address at = range.begin; at < range.end(); at = at + heap::kGranuleBytes) {
          const auto found = part.image->image->find(at);
          const auto right = whole.image->image->find(all.range.begin + (at - segment.range.begin));
          REQUIRE(found.has_value() == right.has_value());
          if (!found) continue;
          ++looked_at;
          REQUIRE(found->kind == right->kind);
          REQUIRE(found->range.begin - segment.range.begin == right->range.begin - all.range.begin);
          REQUIRE(found->range.size <= right->range.size);
          REQUIRE(part.image->image->is_filled(found->range.begin));
        }
      }
    }
    CHECK(looked_at > 1000);
    if (cluster_bytes == os::page_size()) CHECK(at_the_end > 0);
  }
}

// Those that begin with an object of another, which comes with them.
TEST_CASE("a touch brings in a cluster, and those before it that objects reach from, and no more") {
  const std::uint64_t seed = seed_for("what a touch brings in");
  const OracleGraph graph({.objects = 5000, .seed = seed});
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = graph.build(mutator, kinds);
  for (const std::size_t cluster_bytes : cluster_sizes())
    for (const bool compact : {false, true}) {
      CAPTURE(cluster_bytes);
      CAPTURE(compact);
      const TestPath path("image");
      save_roots(mutator, path, {{"table", frame[0]}}, cluster_bytes, compact);
      const Opened opened(path);
      const image::Image& image = *opened.image->image;
      const auto& segment = *image.segments()[0];
      std::vector<bool> there(segment.clusters());
      Random random(seed);
      for (int touched = 0; touched < 100; ++touched) {
        const Address at = segment.range.begin + random() % segment.range.size;
        (void)*at.as<const volatile char>();
        std::size_t cluster = segment.cluster_of(at);
        there[cluster] = true;
        while (const std::uint32_t back = image.file().entry(cluster).continues) {
          cluster -= back;
          there[cluster] = true;
        }
        for (std::size_t i = 0; i < there.size(); ++i)
          REQUIRE(image.is_filled(segment.cluster(i).begin) == there[i]);
      }
    }
}

TEST_CASE("saved with another size, an image is made anew, and all of it is there") {
  const std::uint64_t seed = seed_for("another size");
  const OracleGraph graph({.objects = 5000, .seed = seed});
  const OracleGraph own({.objects = 300, .seed = seed + 1});
  for (const std::size_t from : cluster_sizes())
    for (const std::size_t to : cluster_sizes()) {
      CAPTURE(from);
      CAPTURE(to);
      const TestPath first("first"), second("second");
      save_graph(graph, first, from);
      {
        Opened opened(first);
        opened.frame[0] = own.build(opened.mutator, opened.kinds);
        save_roots(opened.mutator, second, {{"table", opened.table()}, {"own", opened.frame[0]}},
                   to);
        const weir_image_statistics statistics = statistics_of(opened.image);
        CHECK((statistics.filled_clusters < statistics.clusters / 2) == (from == to));
      }
      const Opened opened(second);
      CHECK(statistics_of(opened.image).cluster_bytes == to);
      graph.check(opened.table());
      own.check(root_of(opened.image, "own"));
      collect(opened.mutator);
      graph.check(opened.table());
    }
}

TEST_CASE("one with conservative objects, too, where it lies at its own address") {
  const OracleGraph graph(
      {.objects = 2000, .conservative = true, .seed = seed_for("another size, conservative")});
  const TestPath first("first"), second("second");
  auto saved = std::make_unique<TestHeap>(small_heap());
  {
    const Kinds kinds(*saved);
    const TestMutator mutator(*saved, kPrecise);
    TestFrame<1> frame(mutator);
    frame[0] = graph.build(mutator, kinds);
    save(mutator, first, frame[0], "table", os::page_size());
  }
  {
    const TestHeap heap(small_heap());  // elsewhere
    const Kinds kinds(heap);
    const TestMutator mutator(heap, kPrecise);
    saved.reset();
    weir_image* image = nullptr;
    if (weir_image_open(heap, first.c_str(), nullptr, &image) != WEIR_OK) return;  // taken by then
    save(mutator, second, root_of(image), "table", heap::kBlockBytes);
    graph.check(root_of(image));
  }
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  weir_image* image = nullptr;
  if (weir_image_open(heap, second.c_str(), nullptr, &image) != WEIR_OK) return;
  CHECK(statistics_of(image).cluster_bytes == heap::kBlockBytes);
  graph.check(root_of(image));
}

TEST_CASE("images with clusters of several sizes become one, with those of the first") {
  const std::uint64_t seed = seed_for("several sizes");
  for (const std::size_t a_bytes : cluster_sizes()) {
    const std::size_t b_bytes = a_bytes == os::page_size() ? heap::kBlockBytes : os::page_size();
    CAPTURE(a_bytes);
    const OracleGraph a({.objects = 3000, .seed = seed}), b({.objects = 3000, .seed = seed + 1});
    const TestPath a_path("a"), b_path("b"), joint("joint");
    save_graph(a, a_path, a_bytes);
    save_graph(b, b_path, b_bytes);
    {
      Opened opened(a_path);
      weir_image* other = open_image(opened.heap, b_path);
      auto** a_table = static_cast<void**>(opened.table());
      auto** slot = static_cast<void**>(a_table[0]) + 2;
      void* const before = *slot;
      *slot = root_of(other);
      weir_write_barrier(opened.mutator, a_table[0], slot);
      *slot = before;
      weir_write_barrier(opened.mutator, a_table[0], slot);
      save_roots(opened.mutator, joint, {{"table", a_table}, {"b", root_of(other)}});
    }
    const Opened opened(joint);
    CHECK(statistics_of(opened.image).cluster_bytes == a_bytes);
    a.check(opened.table());
    b.check(root_of(opened.image, "b"));
    collect(opened.mutator);
  }
}
