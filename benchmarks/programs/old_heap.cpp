// A heap that was built long ago and is left alone, save for a few objects of it that are changed
// between two collections, and garbage beside it: always as much of both, however much is old. What
// does a minor collection cost that has nothing to do with most of the heap?
//
// A line on stderr tells when the heap is built, for those who read the collector's log there.
#include <cstdio>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Node {
  Node* next;
  Node* young;
  std::uint64_t values[4];
  static constexpr std::uint64_t kReferences = 0b000011;
};

constexpr std::uint64_t kChain = 85;  // nodes: a page of them
constexpr std::uint64_t kChainBytes = kChain * sizeof(Node);

class OldHeap {
 public:
  OldHeap(Mutator& mutator, const Options& options)
      : mutator_(mutator),
        random_(options.whole("seed")),
        chains_((options.whole("old_mib") << 20) / kChainBytes),
        young_((options.whole("young_kib") << 10) / sizeof(Node)),
        dirty_(options.whole("dirty")),
        garbage_(options.whole("garbage")) {}

  void build() {
    table_ = mutator_.make_array<Node*>(chains_);
    for (std::uint64_t i = 0; i < chains_; ++i)
      for (std::uint64_t k = 0; k < kChain; ++k) {
        Node* node = mutator_.make<Node>();
        node->values[0] = i;
        node->next = table_[i];
        mutator_.store(table_, &table_[i], node);
        for (std::uint64_t dead = 0; dead < garbage_; ++dead)
          mutator_.release(mutator_.make<Node>());
      }
  }

  // As much as is allocated between two collections.
  void live(std::uint64_t cycle) {
    std::uint64_t due = 0;
    for (std::uint64_t i = 0; i < young_; ++i) {
      Node* node = mutator_.make<Node>();
      node->values[0] = cycle;
      due += dirty_;
      if (due < young_) {
        mutator_.release(node);
        continue;
      }
      due -= young_;
      change(node);
    }
  }

  std::uint64_t finish() {
    for (std::uint64_t i = 0; i < chains_; ++i) {
      for (Node* node = table_[i]; node != nullptr;) {
        Node* here = node;
        sum_.add(here->values[0]);
        node = here->next;
        if (here->young != nullptr) mutator_.release(here->young);
        mutator_.release(here);
        mutator_.beat();
      }
    }
    mutator_.release(table_);
    return sum_.value();
  }

 private:
  // An old object, on any page, gets a young one in place of what it had.
  void change(Node* node) {
    Node* old = table_[random_.below(chains_)];
    Node* replaced = old->young;
    if (replaced != nullptr) {
      sum_.add(replaced->values[0]);
      mutator_.release(replaced);
    }
    mutator_.store(old, &old->young, node);
  }

  Mutator& mutator_;
  Random random_;
  Checksum sum_;
  std::uint64_t chains_, young_, dirty_, garbage_;
  Node** table_ = nullptr;
};

std::uint64_t work(Mutator& mutator, const Options& options) {
  OldHeap heap(mutator, options);
  heap.build();
  constexpr std::uint64_t kSettling = 3;  // until all of it is old
  const std::uint64_t cycles = kSettling + options.whole("cycles");
  for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
    if (cycle == kSettling) std::fprintf(stderr, "old_heap: the heap is old\n");
    heap.live(cycle);
  }
  std::fprintf(stderr, "old_heap: that was all\n");
  return heap.finish();
}

HeapSetup setup(const Options& options) {
  if (options.word("nursery") == "own") return {};
  // So large that it never fills.
  const std::size_t old = static_cast<std::size_t>(options.whole("old_mib")) << 20;
  return {.bytes = 2 * old + (std::size_t{128} << 20),
          .nursery_bytes = static_cast<std::size_t>(options.whole("young_kib")) << 10};
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("old_heap",
                        {{"old_mib", "256", "objects that are old"},
                         {"young_kib", "4096", "allocated in a cycle"},
                         {"dirty", "256", "old objects that are changed in a cycle"},
                         {"garbage", "0", "for each old object, while these are made"},
                         {"cycles", "200", "after the heap is old"},
                         {"nursery",
                          "fixed",
                          "whether a collection comes after young_kib, or when the system likes",
                          {"fixed", "own"}}},
                        argc, argv);
  return run(options, setup(options), work);
}
