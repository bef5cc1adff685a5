// Many small objects that live in a table, and a program that allocates beside them: short chains
// that die at once, and now and then an object that replaces an old one at a random place of the
// table. An interpreter with a large heap: how long are the pauses, how much does what is old cost?
#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Node {
  Node* next;
  std::uint64_t values[5];
  static constexpr std::uint64_t kReferences = 0b000001;
};

class Chain {
 public:
  static constexpr unsigned kLength = 16;

  void add(Mutator& mutator, Node* node, Checksum& sum) {
    node->next = newest_;
    newest_ = node;
    if (++length_ == kLength) drop(mutator, sum);
  }
  void drop(Mutator& mutator, Checksum& sum) {
    while (newest_ != nullptr) {
      Node* node = newest_;
      sum.add(node->values[0]);
      newest_ = node->next;
      mutator.release(node);
    }
    length_ = 0;
  }

 private:
  Node* newest_ = nullptr;
  unsigned length_ = 0;
};

Node* make_node(Mutator& mutator, std::uint64_t value) {
  Node* node = mutator.make<Node>();
  node->values[0] = value;
  return node;
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t slots = (options.whole("live_mib") << 20) / (sizeof(Node) + sizeof(Node*));
  const std::uint64_t allocations = options.whole("allocations");
  const std::uint64_t period = options.whole("period");
  Random random(options.whole("seed"));
  Checksum sum;

  Node** table = mutator.make_array<Node*>(slots);
  for (std::uint64_t i = 0; i < slots; ++i) mutator.store(table, &table[i], make_node(mutator, i));
  Chain chain;
  for (std::uint64_t i = 1; i <= allocations; ++i) {
    Node* node = make_node(mutator, i);
    if (i % period != 0) {
      chain.add(mutator, node, sum);
      continue;
    }
    const std::uint64_t at = random.below(slots);
    Node* replaced = table[at];
    sum.add(replaced->values[0]);
    mutator.store(table, &table[at], node);
    mutator.release(replaced);
  }
  chain.drop(mutator, sum);
  for (std::uint64_t i = 0; i < slots; ++i) {
    sum.add(table[i]->values[0]);
    mutator.release(table[i]);
    mutator.beat();
  }
  mutator.release(table);
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("live_churn",
                        {{"live_mib", "512", "objects in the table, and the table"},
                         {"allocations", "20000000", "after the table is filled"},
                         {"period", "256", "one allocation in so many replaces an object"}},
                        argc, argv);
  return run(options, {}, work);
}
