// A random mutator with a shadow of its object graph in plain memory. After each collection that it
// asks for, what the shadow can reach is intact, and the rest is gone (with precise roots): its
// weak references are cleared and its finalizers due, in the order of registration.
//
// An object is an array of words: its number, a checksum, and edges; the rest is filled with a
// pattern that depends on the number.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

namespace weir::test {

struct Kinds {
  explicit Kinds(weir_heap* heap);
  weir_kind by_bitmap, by_callback, conservative, slots;
};

class Graph {
 public:
  // `is_precise`: nothing but its own roots keeps objects alive. `has_finalizers`: not where other
  // threads would run them.
  Graph(weir_mutator* mutator, const Kinds& kinds, bool is_precise, bool has_finalizers,
        std::uint64_t seed);
  ~Graph();

  void step();
  void collect_and_check();
  void collect_minor_and_check();  // nothing that is reachable is lost
  void check_reachable();
  std::size_t size() const { return shadow_.size(); }

 private:
  using Id = std::uint64_t;
  static constexpr std::size_t kRoots = 24;
  static constexpr std::size_t kEdges = 4;
  struct Object {
    Id id;
    std::uint64_t checksum;
    Object* edges[kEdges];
  };
  struct Shadow {
    Object* object;
    std::size_t words;
    Id edges[kEdges] = {};
    weir_weak* weak = nullptr;
    std::uint64_t finalizer = 0;  // the how-manieth was registered; 0: none
    bool is_held = false;         // uncollectable
    Id ephemeron_value = 0;
    weir_ephemeron* ephemeron = nullptr;
  };

  static void on_finalize(weir_mutator* mutator, void* object, void* graph);
  // Kinds that take all words for references find none in it: it is far outside of every heap.
  static std::uint64_t pattern(Id id, std::size_t word) {
    return (id * 0x9e3779b97f4a7c15u + word) | std::uint64_t{1} << 63;
  }
  Id allocate();
  void link(Id from, std::size_t edge, Id to);
  void set_root(std::size_t root, Id to);
  Id any_reachable();
  void check_object(Id id, const Shadow& shadow);
  std::set<Id> reachable() const;
  void run_finalizers(const std::set<Id>& live, bool of_one_collection);
  void forget(Id id);

  weir_mutator* mutator_;
  const Kinds& kinds_;
  const bool is_precise_;
  const bool has_finalizers_;
  Random random_;
  TestFrame<kRoots> frame_;
  Id roots_[kRoots] = {};
  Id next_ = 1;
  std::map<Id, Shadow> shadow_;
  std::uint64_t finalizers_ = 0;  // registered so far
  std::vector<Id> finalized_;     // by the collection that was just checked
};

struct GraphRun {
  const char* name;
  std::size_t threads;
  weir_mutator_config mutator;
  unsigned stress;
  bool verify;
  std::size_t steps;  // of each thread, at the default tier
  weir_barrier barrier = WEIR_BARRIER_AUTO;
  weir_arena arena = WEIR_ARENA_FRESH;
};
// False: this machine does not have the barrier; the reason is printed.
bool run_graphs(const GraphRun& how);

}  // namespace weir::test
