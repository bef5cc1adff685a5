// A random mutator over an image: its objects and new ones refer to one another, with a shadow of
// all references in plain memory. What an image object leads to lives, by whatever chain and
// however long ago it was stored; all else is gone within one full collection.
#include <cstring>
#include <map>
#include <set>
#include <weir/barrier.hpp>

#include "tests/image/oracle.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kImageObjects = 300;
constexpr std::size_t kEdges = 4;
constexpr std::size_t kPadding = 300;  // bytes of image objects, so that they take some clusters

struct Object {
  std::uint64_t id;  // of image objects: below kImageObjects
  Object* edges[kEdges];
};

class ImageGraph {
 public:
  ImageGraph(weir_mutator* mutator, void* table, std::uint64_t seed)
      : mutator_(mutator), random_(seed) {
    for (std::size_t id = 0; id < kImageObjects; ++id)
      shadow_[id].object = static_cast<Object**>(table)[id];
  }
  ~ImageGraph() {
    for (auto& [id, node] : shadow_)
      if (node.weak != nullptr) weir_weak_destroy(mutator_, node.weak);
  }

  void step() {
    const std::uint64_t from = any_reachable();
    const std::size_t edge = random_() % kEdges;
    switch (random_() % 4) {
      case 0:
        link(from, edge, kNone);
        break;
      case 1:
        link(from, edge, any_reachable());
        break;
      default:
        link(from, edge, allocate());
    }
  }

  void collect_and_check(bool full) {
    if (full)
      collect(mutator_);
    else
      REQUIRE_MESSAGE(weir_collect_minor(mutator_) == WEIR_OK, weir_error_message());
    const std::set<std::uint64_t> live = reachable();
    for (const std::uint64_t id : live) {
      const Node& node = shadow_.at(id);
      REQUIRE(node.object->id == id);
      for (std::size_t edge = 0; edge < kEdges; ++edge)
        REQUIRE(node.object->edges[edge] ==
                (node.edges[edge] == kNone ? nullptr : shadow_.at(node.edges[edge]).object));
      if (node.weak != nullptr) REQUIRE(weir_weak_get(mutator_, node.weak) == node.object);
    }
    if (!full) return;
    std::erase_if(shadow_, [&](auto& entry) {
      if (live.contains(entry.first)) return false;
      REQUIRE(weir_weak_get(mutator_, entry.second.weak) == nullptr);
      weir_weak_destroy(mutator_, entry.second.weak);
      return true;
    });
  }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  struct Node {
    Object* object = nullptr;
    std::uint64_t edges[kEdges] = {kNone, kNone, kNone, kNone};
    weir_weak* weak = nullptr;  // of new ones
  };

  // Nothing else keeps it until it is linked, which comes next.
  std::uint64_t allocate() {
    const std::uint64_t id = next_++;
    Node& node = shadow_[id];
    node.object = static_cast<Object*>(
        weir_allocate(mutator_, WEIR_KIND_SLOTS, sizeof(Object) + random_() % 64 * 8));
    REQUIRE(node.object != nullptr);
    node.object->id = id;
    REQUIRE(weir_weak_create(mutator_, node.object, &node.weak) == WEIR_OK);
    return id;
  }

  void link(std::uint64_t from, std::size_t edge, std::uint64_t to) {
    Node& node = shadow_.at(from);
    node.edges[edge] = to;
    node.object->edges[edge] = to == kNone ? nullptr : shadow_.at(to).object;
    weir_write_barrier(mutator_, node.object, &node.object->edges[edge]);
  }

  std::uint64_t any_reachable() {
    std::uint64_t id = random_() % kImageObjects;
    for (std::size_t steps = random_() % 8; steps > 0; --steps) {
      const std::uint64_t next = shadow_.at(id).edges[random_() % kEdges];
      if (next != kNone) id = next;
    }
    return id;
  }

  std::set<std::uint64_t> reachable() const {
    std::set<std::uint64_t> seen;
    std::vector<std::uint64_t> stack;
    for (std::uint64_t id = 0; id < kImageObjects; ++id) stack.push_back(id);
    while (!stack.empty()) {
      const std::uint64_t id = stack.back();
      stack.pop_back();
      if (!seen.insert(id).second) continue;
      for (const std::uint64_t edge : shadow_.at(id).edges)
        if (edge != kNone) stack.push_back(edge);
    }
    return seen;
  }

  weir_mutator* mutator_;
  Random random_;
  std::map<std::uint64_t, Node> shadow_;
  std::uint64_t next_ = kImageObjects;
};

void save_objects(const TestPath& path, std::size_t cluster_bytes) {
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = weir_allocate(mutator, WEIR_KIND_SLOTS, kImageObjects * sizeof(void*));
  for (std::size_t id = 0; id < kImageObjects; ++id) {
    auto** table = static_cast<Object**>(frame[0]);
    auto* object = static_cast<Object*>(
        weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Object) + id % 16 * kPadding / 16 * 16));
    object->id = id;
    table = static_cast<Object**>(frame[0]);
    table[id] = object;
    weir_write_barrier(mutator, table, &table[id]);
  }
  save(mutator, path, frame[0], "table", cluster_bytes);
}

}  // namespace

TEST_CASE("51, 71: random graphs over an image, under every barrier") {
  const std::uint64_t seed = seed_for("graphs over images");
  std::vector<weir_config> configs;
  for (const weir_barrier barrier : kBarriers) {
    configs.push_back(small_heap());
    configs.back().barrier = barrier;
    configs.back().verify = true;
  }
  configs.push_back(configs.front());
  configs.back().stress = 7;
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const TestPath path("image");
    save_objects(path, cluster_bytes);
    for (const weir_config& config : configs) {
      CAPTURE(static_cast<int>(config.barrier));
      CAPTURE(config.stress);
      if (!TestHeap::can_be_made(config)) continue;
      const TestHeap heap(config);
      const TestMutator mutator(heap, config.stress == 0 ? kPrecise : kConservative);
      weir_image* image = open_image(heap, path);
      ImageGraph graph(mutator, root_of(image), seed);
      const std::size_t steps = scaled(config.stress == 0 ? 10'000 : 2'000);
      for (std::size_t step = 1; step <= steps; ++step) {
        graph.step();
        // With a stack that keeps what it likes nothing need be gone.
        if (step % 50 == 0) graph.collect_and_check(step % 400 == 0 && config.stress == 0);
      }
    }
  }
}
