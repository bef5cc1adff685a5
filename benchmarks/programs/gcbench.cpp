// GCBench, by John Ellis and Pete Kovac of Post Communications, later changed by Hans Boehm: trees
// of several depths that die young, built from the root and from the leaves, beside a tree and an
// array that live long. Short-lived data of one size: what a generational collector is best at.
#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Node {
  Node *left, *right;
  int i, j;
  static constexpr std::uint64_t kReferences = 0b011;
};

std::uint64_t nodes_of(std::uint64_t depth) {
  return (std::uint64_t{2} << depth) - 1;
}

void populate(Mutator& mutator, std::uint64_t depth, Node* node) {
  if (depth == 0) return;
  mutator.store(node, &node->left, mutator.make<Node>());
  mutator.store(node, &node->right, mutator.make<Node>());
  populate(mutator, depth - 1, node->left);
  populate(mutator, depth - 1, node->right);
}

Node* make_tree(Mutator& mutator, std::uint64_t depth) {
  if (depth == 0) return mutator.make<Node>();
  Node* left = make_tree(mutator, depth - 1);
  Node* right = make_tree(mutator, depth - 1);
  Node* node = mutator.make<Node>();
  node->left = left;
  node->right = right;
  return node;
}

[[maybe_unused]] void release_tree(Mutator& mutator, Node* node) {
  if (node == nullptr) return;
  release_tree(mutator, node->left);
  release_tree(mutator, node->right);
  mutator.release(node);
}

std::uint64_t count(Mutator& mutator, const Node* node) {
  mutator.beat();
  return node == nullptr ? 0 : 1 + count(mutator, node->left) + count(mutator, node->right);
}

// Trees of `depth`, as many as have the nodes of two of the stretch tree.
void build_and_drop(Mutator& mutator, std::uint64_t depth, std::uint64_t stretch_depth,
                    Checksum& sum) {
  const std::uint64_t trees = 2 * nodes_of(stretch_depth) / nodes_of(depth);
  for (std::uint64_t i = 0; i < trees; ++i) {
    Node* tree = mutator.make<Node>();
    populate(mutator, depth, tree);
    sum.add(tree->left != nullptr);
    if constexpr (kFrees) release_tree(mutator, tree);
  }
  for (std::uint64_t i = 0; i < trees; ++i) {
    Node* tree = make_tree(mutator, depth);
    sum.add(tree->right != nullptr);
    if constexpr (kFrees) release_tree(mutator, tree);
  }
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t stretch = options.whole("stretch_depth");
  const std::uint64_t long_lived_depth = options.whole("long_lived_depth");
  const std::uint64_t size = options.whole("array");
  Checksum sum;
  {
    Node* tree = make_tree(mutator, stretch);
    sum.add(tree->left != nullptr);
    if constexpr (kFrees) release_tree(mutator, tree);
  }
  Node* long_lived = mutator.make<Node>();
  populate(mutator, long_lived_depth, long_lived);
  auto* array = mutator.make_array<double>(size);
  for (std::uint64_t i = 0; i < size / 2; ++i) {
    array[i] = 1.0 / static_cast<double>(i + 1);
    mutator.beat();
  }
  for (std::uint64_t depth = 4; depth <= long_lived_depth; depth += 2)
    build_and_drop(mutator, depth, stretch, sum);

  sum.add(count(mutator, long_lived));
  for (std::uint64_t i = 0; i < size; ++i) {
    sum.add(static_cast<std::uint64_t>(array[i] * 1e9));
    mutator.beat();
  }
  if constexpr (kFrees) release_tree(mutator, long_lived);
  mutator.release(array);
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("gcbench",
                        {{"stretch_depth", "18", "of the tree that stretches memory"},
                         {"long_lived_depth", "16", "of the tree that stays, and of the largest"},
                         {"array", "500000", "numbers in the array that stays"}},
                        argc, argv);
  return run(options, {}, work);
}
