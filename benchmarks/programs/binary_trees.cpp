// Binary trees, as in the Computer Language Benchmarks Game, in one thread: trees of all depths
// that are built from the leaves, walked once and dropped, beside a large one that stays. Its share
// of the Game's number of trees is what keeps a run short; the depths are the Game's.
#include <algorithm>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

constexpr std::uint64_t kLeast = 4;

struct Node {
  Node *left, *right;
  static constexpr std::uint64_t kReferences = 0b11;
};

Node* make_tree(Mutator& mutator, std::uint64_t depth) {
  if (depth == 0) return mutator.make<Node>();
  Node* left = make_tree(mutator, depth - 1);
  Node* right = make_tree(mutator, depth - 1);
  Node* node = mutator.make<Node>();
  node->left = left;
  node->right = right;
  return node;
}

// The number of nodes; the tree is not needed any more.
std::uint64_t count_and_release(Mutator& mutator, Node* node) {
  mutator.beat();
  std::uint64_t count = 1;
  if (node->left != nullptr)
    count += count_and_release(mutator, node->left) + count_and_release(mutator, node->right);
  mutator.release(node);
  return count;
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t depth = std::max(options.whole("depth"), kLeast + 2);
  const std::uint64_t share = options.whole("share");
  Checksum sum;
  sum.add(count_and_release(mutator, make_tree(mutator, depth + 1)));
  Node* long_lived = make_tree(mutator, depth);
  for (std::uint64_t d = kLeast; d <= depth; d += 2) {
    const std::uint64_t trees = (std::uint64_t{1} << (depth - d + kLeast)) / share;
    for (std::uint64_t i = 0; i < std::max<std::uint64_t>(trees, 1); ++i)
      sum.add(count_and_release(mutator, make_tree(mutator, d)));
  }
  sum.add(count_and_release(mutator, long_lived));
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("binary_trees",
                        {{"depth", "21", "of the tree that stays"},
                         {"share", "16", "of the Game's trees one in so many is built"}},
                        argc, argv);
  return run(options, {}, work);
}
