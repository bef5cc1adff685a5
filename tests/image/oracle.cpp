#include "tests/image/oracle.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "runtime/heap/units.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::test {

OracleGraph::OracleGraph(const Shape& shape) {
  Random random(shape.seed);
  for (std::size_t i = 0; i < shape.objects; ++i) {
    Node node{};
    const std::size_t sizes[] = {6, 7, 12, 40, 200, 1023, 1024, 1025, 5000, 9000, 20000};
    node.words = random() % 32 != 0 ? 6 + random() % 6 : sizes[random() % std::size(sizes)];
    // Beyond its bitmap a kind repeats: large objects are traced otherwise.
    node.kind = node.words > 4096 ? 1 : static_cast<unsigned>(random() % (node.words > 12 ? 2 : 3));
    if (shape.conservative && node.words <= 12 && random() % 8 == 0) node.kind = 3;
    for (std::size_t& edge : node.edges)
      edge = random() % 4 == 0 ? kNone : static_cast<std::size_t>(random() % shape.objects);
    nodes_.push_back(node);
  }
}

void* OracleGraph::build(weir_mutator* mutator, const Kinds& kinds) const {
  TestFrame<1> frame(mutator);
  const weir_kind by_number[] = {kinds.by_bitmap, kinds.by_callback, kinds.slots,
                                 kinds.conservative};
  frame[0] = weir_allocate(mutator, WEIR_KIND_SLOTS, nodes_.size() * sizeof(void*));
  const auto table = [&] { return static_cast<void**>(frame[0]); };
  for (std::size_t id = 0; id < nodes_.size(); ++id) {
    REQUIRE(weir_allocate(mutator, WEIR_KIND_LEAF, 16 + id % 7 * 16) != nullptr);  // garbage
    auto* object = static_cast<std::uint64_t*>(
        weir_allocate(mutator, by_number[nodes_[id].kind], nodes_[id].words * 8));
    REQUIRE(object != nullptr);
    object[0] = pattern(id, 0);
    for (std::size_t word = kHeader + kEdges; word < nodes_[id].words; ++word)
      object[word] = pattern(id, word);
    table()[id] = object;
    weir_write_barrier(mutator, table(), &table()[id]);
  }
  for (std::size_t id = 0; id < nodes_.size(); ++id)
    for (std::size_t edge = 0; edge < kEdges; ++edge)
      if (const std::size_t to = nodes_[id].edges[edge]; to != kNone) {
        auto** slots = static_cast<void**>(table()[id]) + kHeader;
        slots[edge] = table()[to];
        weir_write_barrier(mutator, table()[id], &slots[edge]);
      }
  return frame[0];
}

void OracleGraph::check_object(const void* table, std::size_t id) const {
  auto* const* objects = static_cast<void* const*>(table);
  const Node& node = nodes_[id];
  const auto* words = static_cast<const std::uint64_t*>(objects[id]);
  // One assertion for all of it: they take longer than what they look at.
  bool is_right = words[0] == pattern(id, 0) && words[1] == 0;
  for (std::size_t edge = 0; edge < kEdges; ++edge) {
    const std::size_t to = node.edges[edge];
    const auto expected = to != kNone ? reinterpret_cast<std::uint64_t>(objects[to]) : 0;
    is_right = is_right && words[kHeader + edge] == expected;
  }
  for (std::size_t word = kHeader + kEdges; word < node.words; ++word)
    is_right = is_right && words[word] == pattern(id, word);
  if (!is_right) FAIL("object " << id << " is not what it was");
}

bool OracleGraph::refers_to(std::size_t from, std::size_t to) const {
  return std::ranges::find(nodes_[from].edges, to) != std::end(nodes_[from].edges);
}

void OracleGraph::check(const void* table) const {
  for (std::size_t id = 0; id < nodes_.size(); ++id) check_object(table, id);
}

TestPath::TestPath(const char* name) {
  const char* tmpdir = std::getenv("TMPDIR");
  std::string folder = std::string(tmpdir != nullptr ? tmpdir : "/tmp") + "/weir-image-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  path_ = folder + "/" + name;
}

TestPath::~TestPath() {
  ::unlink(path_.c_str());
  ::rmdir(folder().c_str());
}

std::array<std::size_t, 3> cluster_sizes() {
  return {weir::os::page_size(), 4 * weir::os::page_size(), weir::heap::kBlockBytes};
}

void save_roots(weir_mutator* mutator, const TestPath& path,
                std::initializer_list<weir_image_root> roots, std::size_t cluster_bytes,
                bool compact) {
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  config.roots = roots.begin();
  config.root_count = roots.size();
  config.cluster_bytes = cluster_bytes;
  config.compact = compact;
  REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &config) == WEIR_OK, weir_error_message());
}

void save(weir_mutator* mutator, const TestPath& path, void* table, const char* root,
          std::size_t cluster_bytes) {
  save_roots(mutator, path, {{root, table}}, cluster_bytes);
}

void save_graph(const OracleGraph& graph, const TestPath& path, std::size_t cluster_bytes) {
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = graph.build(mutator, kinds);
  save(mutator, path, frame[0], "table", cluster_bytes);
}

weir_image* open_image(weir_heap* heap, const TestPath& path, weir_image_filling filling) {
  weir_image* image = nullptr;
  weir_image_open_config config{};
  config.filling = filling;
  REQUIRE_MESSAGE(weir_image_open(heap, path.c_str(), &config, &image) == WEIR_OK,
                  weir_error_message());
  return image;
}

void* root_of(weir_image* image, const char* name) {
  void* object = nullptr;
  REQUIRE_MESSAGE(weir_image_root_get(image, name, &object) == WEIR_OK, weir_error_message());
  return object;
}

weir_image_statistics statistics_of(weir_image* image) {
  weir_image_statistics statistics;
  weir_image_get_statistics(image, &statistics);
  return statistics;
}

}  // namespace weir::test
