// Graphs for images: objects of every kind and size whose content follows from a seed, so that
// another heap, or another process, can tell whether all of it is right.
#pragma once

#include <array>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/collector/graph.hpp"

namespace weir::test {

class OracleGraph {
 public:
  struct Shape {
    std::size_t objects = 1000;
    bool conservative = false;
    std::uint64_t seed = 1;
  };
  explicit OracleGraph(const Shape& shape);

  // Its objects, with garbage between them; the table of all of them is the result.
  void* build(weir_mutator* mutator, const Kinds& kinds) const;
  void check(const void* table) const;
  void check_object(const void* table, std::size_t index) const;
  bool refers_to(std::size_t from, std::size_t to) const;
  std::size_t bytes_of(std::size_t index) const { return nodes_[index].words * 8; }
  std::size_t size() const { return nodes_.size(); }

 private:
  static constexpr std::size_t kHeader = 2;
  static constexpr std::size_t kEdges = 4;
  static constexpr std::size_t kNone = ~std::size_t{0};
  struct Node {
    std::size_t words;
    unsigned kind;
    std::size_t edges[kEdges];
  };
  static std::uint64_t pattern(std::size_t id, std::size_t word) {
    return (id * 0x9e3779b97f4a7c15u + word) | std::uint64_t{1} << 63;
  }
  std::vector<Node> nodes_;
};

// A path that is gone when the test is over.
class TestPath {
 public:
  explicit TestPath(const char* name);
  ~TestPath();
  TestPath(const TestPath&) = delete;
  TestPath& operator=(const TestPath&) = delete;
  const char* c_str() const { return path_.c_str(); }
  const std::string& string() const { return path_; }
  std::string folder() const { return path_.substr(0, path_.rfind('/')); }

 private:
  std::string path_;
};

// A page, some pages, a block.
std::array<std::size_t, 3> cluster_sizes();
constexpr std::size_t kAnyClusters = 0;  // whatever is the default

void save_roots(weir_mutator* mutator, const TestPath& path,
                std::initializer_list<weir_image_root> roots,
                std::size_t cluster_bytes = kAnyClusters, bool compact = false);
void save(weir_mutator* mutator, const TestPath& path, void* table, const char* root = "table",
          std::size_t cluster_bytes = kAnyClusters);
// The graph, made in a heap of its own.
void save_graph(const OracleGraph& graph, const TestPath& path,
                std::size_t cluster_bytes = kAnyClusters);
weir_image* open_image(weir_heap* heap, const TestPath& path,
                       weir_image_filling filling = WEIR_IMAGE_LAZY);
void* root_of(weir_image* image, const char* name = "table");
weir_image_statistics statistics_of(weir_image* image);

}  // namespace weir::test
