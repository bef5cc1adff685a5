// Compact saves: what the roots reach, of several generations of images, moved together.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "tests/image/oracle.hpp"

using namespace weir::test;

namespace {

// Tells of all parts, in order, and ends with all of them.
struct Progress {
  static void called(std::uint64_t done, std::uint64_t all, void* data) {
    auto& self = *static_cast<Progress*>(data);
    self.is_in_order = self.is_in_order && done >= self.done && done <= all;
    self.done = done;
    self.all = all;
  }
  std::uint64_t done = 0, all = 0;
  bool is_in_order = true;
};

void save_roots(weir_mutator* mutator, const TestPath& path, bool compact,
                std::initializer_list<weir_image_root> roots,
                std::size_t cluster_bytes = kAnyClusters) {
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  config.roots = roots.begin();
  config.root_count = roots.size();
  config.compact = compact;
  config.cluster_bytes = cluster_bytes;
  Progress progress;
  config.progress = Progress::called;
  config.progress_data = &progress;
  REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &config) == WEIR_OK, weir_error_message());
  CHECK(progress.is_in_order);
  CHECK(progress.done == progress.all);
}

}  // namespace

TEST_CASE("a compact image has what the roots reach, of the heap and of its images, in one piece") {
  const std::uint64_t seed = seed_for("compact");
  const OracleGraph kept({.objects = 4000, .seed = seed});
  const OracleGraph dropped({.objects = 4000, .seed = seed + 1});
  const OracleGraph own({.objects = 1000, .seed = seed + 2});
  for (const std::size_t cluster_bytes : cluster_sizes())
    for (const bool in_place : {true, false}) {
      CAPTURE(cluster_bytes);
      CAPTURE(in_place);
      weir_config config = small_heap();
      config.verify = true;
      const TestPath first("first"), plain("plain"), compact("compact");
      auto one = std::make_unique<TestHeap>(config);
      {
        const Kinds kinds(*one);
        const TestMutator mutator(*one, kPrecise);
        TestFrame<2> frame(mutator);
        frame[0] = kept.build(mutator, kinds);
        frame[1] = dropped.build(mutator, kinds);
        save_roots(mutator, first, false, {{"kept", frame[0]}, {"dropped", frame[1]}},
                   cluster_bytes);
      }
      if (in_place) one.reset();
      {
        const TestHeap heap(config);
        const Kinds kinds(heap);
        const TestMutator mutator(heap, kPrecise);
        TestFrame<1> frame(mutator);
        weir_image* image = open_image(heap, first);
        auto** table = static_cast<void**>(root_of(image, "kept"));
        frame[0] = own.build(mutator, kinds);
        table[9] = frame[0];  // reached by way of the image only
        weir_write_barrier(mutator, table, &table[9]);
        save_roots(mutator, plain, false, {{"kept", table}});
        save_roots(mutator, compact, true, {{"kept", table}});
        own.check(frame[0]);
        collect(mutator);
        own.check(frame[0]);
      }
      CHECK(std::filesystem::file_size(compact.string()) <
            std::filesystem::file_size(plain.string()) * 3 / 4);
      const TestHeap heap(config);
      const Kinds kinds(heap);
      const TestMutator mutator(heap, kPrecise);
      weir_image* image = open_image(heap, compact);
      CHECK(statistics_of(image).cluster_bytes == cluster_bytes);
      auto** table = static_cast<void**>(root_of(image, "kept"));
      own.check(table[9]);
      for (std::size_t i = 0; i < kept.size(); ++i)
        if (i != 9 && !kept.refers_to(i, 9)) kept.check_object(table, i);
      collect(mutator);

      // And again from there, with a new object, in the usual way.
      const TestPath again("again");
      TestFrame<1> frame(mutator);
      frame[0] = own.build(mutator, kinds);
      save_roots(mutator, again, false, {{"kept", table}, {"new", frame[0]}});
      const TestHeap last(config);
      const Kinds last_kinds(last);
      weir_image* opened = open_image(last, again);
      own.check(root_of(opened, "new"));
      own.check(static_cast<void**>(root_of(opened, "kept"))[9]);
    }
}

TEST_CASE("a compact image of nothing, and one whose object is larger than a cluster") {
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  const TestPath path("image");
  save_roots(mutator, path, true, {{"nothing", nullptr}});
  {
    const TestHeap second(small_heap());
    weir_image* image = open_image(second, path);
    CHECK(root_of(image, "nothing") == nullptr);
    CHECK(statistics_of(image).clusters == 0);
  }
  constexpr std::size_t kWords = 50'000;
  auto** large = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, kWords * 8));
  frame[0] = large;
  for (std::size_t i = 0; i < kWords; i += 100) {
    large[i] = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
    *static_cast<std::uint64_t*>(large[i]) = i;
    weir_write_barrier(mutator, large, &large[i]);
  }
  large[1] = large + 7;  // inside
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    save_roots(mutator, path, true, {{"large", large}}, cluster_bytes);
    const TestHeap second(small_heap());
    weir_image* image = open_image(second, path);
    auto** copy = static_cast<void**>(root_of(image, "large"));
    CHECK(copy[1] == copy + 7);
    for (std::size_t i = 0; i < kWords; i += 100) CHECK(*static_cast<std::uint64_t*>(copy[i]) == i);
  }
}

TEST_CASE("what cannot be moved cannot be saved compact") {
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = weir_allocate(mutator, kinds.conservative, 64);
  const TestPath path("image");
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  const weir_image_root roots[] = {{"root", frame[0]}};
  config.roots = roots;
  config.root_count = 1;
  config.compact = true;
  CHECK(weir_image_save(mutator, path.c_str(), &config) == WEIR_UNSUPPORTED);
  CHECK_MESSAGE(std::string(weir_error_message()).find("conservatively") != std::string::npos,
                weir_error_message());
  collect(mutator);
  CHECK(!std::filesystem::exists(path.string()));
}
