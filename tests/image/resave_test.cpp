// Heaps that came from an image and are saved again: what was not written is copied as it is, in
// the file; references out of the heap; hot lists.
#include <cstring>
#include <filesystem>
#include <memory>

#include "tests/image/oracle.hpp"

using namespace weir::test;

namespace {

weir_config of_barrier(weir_barrier barrier) {
  weir_config config = small_heap();
  config.verify = true;
  config.barrier = barrier;
  return config;
}

void store(weir_mutator* mutator, void* object, std::size_t word, void* value) {
  void** slot = static_cast<void**>(object) + word;
  *slot = value;
  weir_write_barrier(mutator, object, slot);
}

// A heap with an image, perhaps, whose address others cannot have as long as it is there.
struct Generation {
  Generation(const weir_config& config, const TestPath* from)
      : heap(config), kinds(heap), mutator(heap, kPrecise), frame(mutator) {
    if (from != nullptr) image = open_image(heap, *from);
  }
  TestHeap heap;
  Kinds kinds;
  TestMutator mutator;
  TestFrame<4> frame;
  weir_image* image = nullptr;
};

}  // namespace

TEST_CASE("a heap from an image is saved again, and again, in place and moved, lazily") {
  constexpr std::size_t kObjects = 8000;
  const std::uint64_t seed = seed_for("saved again");
  const OracleGraph old_graph({.objects = kObjects, .seed = seed});
  const OracleGraph new_graph({.objects = 500, .seed = seed + 1});
  for (const std::size_t cluster_bytes : cluster_sizes())
    for (const bool in_place : {true, false})
      for (const weir_barrier barrier : {WEIR_BARRIER_ASYNC, WEIR_BARRIER_MPROTECT,
                                         WEIR_BARRIER_CARDS, WEIR_BARRIER_ALWAYS_DIRTY}) {
        CAPTURE(cluster_bytes);
        CAPTURE(in_place);
        CAPTURE(static_cast<int>(barrier));
        const weir_config config = of_barrier(barrier);
        if (!TestHeap::can_be_made(config)) continue;
        const TestPath first("first");
        const TestPath second("second");
        const TestPath third("third");
        auto one = std::make_unique<Generation>(config, nullptr);
        one->frame[0] = old_graph.build(one->mutator, one->kinds);
        save_roots(one->mutator, first, {{"old", one->frame[0]}}, cluster_bytes);
        if (in_place) one.reset();

        auto two = std::make_unique<Generation>(config, &first);
        auto** old_table = static_cast<void**>(root_of(two->image, "old"));
        old_graph.check_object(old_table, 3);
        two->frame[0] = new_graph.build(two->mutator, two->kinds);
        // An image object refers to a new one, which is reachable by that way only.
        auto* cell = static_cast<void**>(weir_allocate(two->mutator, WEIR_KIND_SLOTS, 32));
        cell[0] = old_table;
        cell[1] = old_table[7];
        void* const before = old_table[9];
        store(two->mutator, old_table, 9, cell);
        weir_object whole;  // a root is looked up, to its end
        REQUIRE(weir_object_at(two->mutator, old_table, &whole) == WEIR_OK);
        const std::uint64_t filled = statistics_of(two->image).filled_clusters;
        save_roots(two->mutator, second, {{"old", old_table}, {"new", two->frame[0]}});
        CHECK(statistics_of(two->image).filled_clusters == filled);
        CHECK(filled < statistics_of(two->image).clusters);
        new_graph.check(two->frame[0]);
        if (in_place) two.reset();

        auto three = std::make_unique<Generation>(config, &second);
        CHECK(statistics_of(three->image).cluster_bytes == cluster_bytes);  // it stays
        old_table = static_cast<void**>(root_of(three->image, "old"));
        new_graph.check(root_of(three->image, "new"));
        cell = static_cast<void**>(old_table[9]);
        CHECK(cell[0] == old_table);
        CHECK(cell[1] == old_table[7]);
        store(three->mutator, old_table, 9, cell[1]);
        three->frame[0] = weir_allocate(three->mutator, three->kinds.by_bitmap, 64);
        save_roots(three->mutator, third,
                   {{"old", old_table},
                    {"new", root_of(three->image, "new")},
                    {"newest", three->frame[0]}});
        if (in_place) three.reset();

        Generation four(config, &third);
        old_table = static_cast<void**>(root_of(four.image, "old"));
        CHECK(old_table[9] == old_table[7]);
        (void)before;
        for (std::size_t i = 0; i < kObjects; ++i)
          if (i != 9 && !old_graph.refers_to(i, 9)) old_graph.check_object(old_table, i);
        new_graph.check(root_of(four.image, "new"));
        weir_object newest;
        REQUIRE(weir_object_at(four.mutator, root_of(four.image, "newest"), &newest) == WEIR_OK);
        CHECK(newest.kind == four.kinds.by_bitmap);
        collect(four.mutator);
      }
}

namespace {

long named_here[8];
long named_there[8];
void a_function() {}

}  // namespace

TEST_CASE("slots that lead out of the heap: by name, and into modules") {
  const TestPath path("image");
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  auto** object = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 64));
  frame[0] = object;
  object[0] = &named_here[3];
  object[1] = reinterpret_cast<void*>(a_function);
  object[2] = reinterpret_cast<void*>(std::uintptr_t{41});  // a number
  object[3] = object;
  object[4] = reinterpret_cast<void*>(&std::memcpy);
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  const weir_image_root roots[] = {{"object", object}};
  const weir_image_name here[] = {{"the name", named_here, sizeof named_here}};
  config.roots = roots;
  config.root_count = 1;
  config.names = here;
  config.name_count = 1;
  REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &config) == WEIR_OK, weir_error_message());

  const TestHeap second(small_heap());
  weir_image* image = nullptr;
  CHECK(weir_image_open(second, path.c_str(), nullptr, &image) == WEIR_INVALID_ARGUMENT);
  CHECK(std::string(weir_error_message()).find("'the name'") != std::string::npos);
  weir_image_open_config open{};
  const weir_image_name there[] = {{"another", named_here, 8},
                                   {"the name", named_there, sizeof named_there}};
  open.names = there;
  open.name_count = 2;
  REQUIRE_MESSAGE(weir_image_open(second, path.c_str(), &open, &image) == WEIR_OK,
                  weir_error_message());
  auto** copy = static_cast<void**>(root_of(image, "object"));
  CHECK(copy != object);
  CHECK(copy[0] == &named_there[3]);
  CHECK(copy[1] == reinterpret_cast<void*>(a_function));
  CHECK(copy[2] == reinterpret_cast<void*>(std::uintptr_t{41}));
  CHECK(copy[3] == copy);
  CHECK(copy[4] == reinterpret_cast<void*>(&std::memcpy));

  // Saved from there, the name goes along.
  const TestMutator again(second, kPrecise);
  const TestPath resaved("resaved");
  const weir_image_root copied[] = {{"object", copy}};
  config.roots = copied;
  config.names = nullptr;
  config.name_count = 0;
  REQUIRE_MESSAGE(weir_image_save(again, resaved.c_str(), &config) == WEIR_OK,
                  weir_error_message());
  const TestHeap third(small_heap());
  open.names = here;
  open.name_count = 1;
  REQUIRE_MESSAGE(weir_image_open(third, resaved.c_str(), &open, &image) == WEIR_OK,
                  weir_error_message());
  CHECK(static_cast<void**>(root_of(image, "object"))[0] == &named_here[3]);
}

TEST_CASE("slots with tags and shifts come back where they point to") {
  const TestPath path("image");
  weir_config config = small_heap();
  config.slot_mask = ~std::uintptr_t{7};
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  auto* object = static_cast<std::uintptr_t*>(weir_allocate(mutator, WEIR_KIND_SLOTS, 64));
  frame[0] = object;
  object[0] = reinterpret_cast<std::uintptr_t>(object) | 5;
  object[1] = reinterpret_cast<std::uintptr_t>(object + 2) | 3;  // inside
  save(mutator, path, object, "object");
  const TestHeap second(config);
  weir_image* image = open_image(second, path);
  auto* copy = static_cast<std::uintptr_t*>(root_of(image, "object"));
  CHECK(copy != object);
  CHECK(copy[0] == (reinterpret_cast<std::uintptr_t>(copy) | 5));
  CHECK(copy[1] == (reinterpret_cast<std::uintptr_t>(copy + 2) | 3));
}

TEST_CASE("a hot list of one run is brought in ahead by the next, and nothing else is") {
  const OracleGraph graph({.objects = 20'000, .seed = seed_for("hot list")});
  const TestPath path("image");
  const std::string list = path.folder() + "/hot";
  {
    Generation first(small_heap(), nullptr);
    first.frame[0] = graph.build(first.mutator, first.kinds);
    save(first.mutator, path, first.frame[0]);
  }
  std::uint64_t touched = 0;
  {
    Generation cold(small_heap(), &path);
    for (std::size_t i = 0; i < graph.size(); i += 1500) graph.check_object(root_of(cold.image), i);
    touched = statistics_of(cold.image).filled_clusters;
    REQUIRE_MESSAGE(weir_image_hot_list(cold.image, list.c_str()) == WEIR_OK, weir_error_message());
  }
  {
    const TestHeap heap(small_heap());
    const Kinds kinds(heap);
    weir_image_open_config open{};
    open.hot_list = list.c_str();
    weir_image* image = nullptr;
    REQUIRE_MESSAGE(weir_image_open(heap, path.c_str(), &open, &image) == WEIR_OK,
                    weir_error_message());
    while (statistics_of(image).filled_clusters < touched) {
    }
    for (std::size_t i = 0; i < graph.size(); i += 1500) graph.check_object(root_of(image), i);
    CHECK(statistics_of(image).filled_clusters == touched);
    weir_image* second = nullptr;
    open.hot_list = path.c_str();  // no hot list
    CHECK(weir_image_open(heap, path.c_str(), &open, &second) == WEIR_INVALID_ARGUMENT);
  }
  {
    const TestHeap heap(small_heap());
    const Kinds kinds(heap);
    weir_image* image = open_image(heap, path, WEIR_IMAGE_BACKGROUND);
    while (statistics_of(image).filled_clusters < statistics_of(image).clusters) {
    }
    graph.check(root_of(image));
  }
  std::filesystem::remove(list);
}
