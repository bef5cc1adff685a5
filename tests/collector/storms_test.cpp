// Threads that come, go, migrate and die while others collect; alarms; a part of the graph that
// all share under a lock.
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/collector/graph.hpp"
#include "tests/support/alarm_storm.hpp"

using namespace weir::test;

namespace {

struct Node {
  Node* next[2];
  std::uint64_t id;
};

// A graph that several threads change under a lock, for which they wait in blocking regions.
class SharedGraph {
 public:
  explicit SharedGraph(weir_heap* heap) : heap_(heap) {
    static const std::uint64_t kBits[1] = {3};
    weir_kind_config config{};
    config.name = "shared node";
    config.tracing = WEIR_TRACE_BITMAP;
    config.bitmap = kBits;
    config.bitmap_words = 4;
    REQUIRE(weir_kind_define(heap, &config, &kind_) == WEIR_OK);
    REQUIRE(weir_roots_add(heap, roots_, kRoots) == WEIR_OK);
  }
  ~SharedGraph() { CHECK(weir_roots_remove(heap_, roots_) == WEIR_OK); }

  void step(weir_mutator* mutator, Random& random, bool is_precise) {
    const Lock lock(*this, mutator);
    const std::size_t root = random() % kRoots;
    if (random() % 8 == 0) {
      roots_[root] = nullptr;
    } else {
      auto* node = static_cast<Node*>(weir_allocate(mutator, kind_, sizeof(Node)));
      REQUIRE(node != nullptr);
      node->id = ++count_;
      node->next[0] = static_cast<Node*>(roots_[random() % kRoots]);
      node->next[1] = static_cast<Node*>(roots_[random() % kRoots]);
      // So that the graph does not grow for ever.
      if (random() % 4 == 0) node->next[0] = node->next[1] = nullptr;
      shadow_[node->id] = {node, {id_of(node->next[0]), id_of(node->next[1])}, nullptr};
      REQUIRE(weir_weak_create(mutator, node, &shadow_[node->id].weak) == WEIR_OK);
      roots_[root] = node;
    }
    if (count_ % 200 == 0) check(mutator, is_precise);
  }
  void clear(weir_mutator* mutator) {
    for (auto& [id, shadow] : shadow_) weir_weak_destroy(mutator, shadow.weak);
  }

 private:
  static constexpr std::size_t kRoots = 16;
  struct Shadow {
    Node* node;
    std::uint64_t next[2];
    weir_weak* weak;
  };
  class Lock {
   public:
    Lock(SharedGraph& graph, weir_mutator* mutator) : graph_(graph) {
      weir_enter_blocking(mutator);
      graph_.lock_.lock();
      weir_leave_blocking(mutator);
    }
    ~Lock() { graph_.lock_.unlock(); }

   private:
    SharedGraph& graph_;
  };

  static std::uint64_t id_of(const Node* node) { return node != nullptr ? node->id : 0; }

  void check(weir_mutator* mutator, bool is_precise) {
    collect(mutator);
    std::set<std::uint64_t> live;
    std::vector<std::uint64_t> stack;
    for (void* root : roots_)
      if (root != nullptr) stack.push_back(static_cast<Node*>(root)->id);
    while (!stack.empty()) {
      const std::uint64_t id = stack.back();
      stack.pop_back();
      if (id == 0 || !live.insert(id).second) continue;
      const Shadow& shadow = shadow_.at(id);
      REQUIRE(shadow.node->id == id);
      REQUIRE(weir_weak_get(mutator, shadow.weak) == shadow.node);
      for (int i = 0; i < 2; ++i) {
        REQUIRE(id_of(shadow.node->next[i]) == shadow.next[i]);
        stack.push_back(shadow.next[i]);
      }
    }
    if (!is_precise) return;
    for (auto entry = shadow_.begin(); entry != shadow_.end();) {
      if (live.contains(entry->first)) {
        ++entry;
        continue;
      }
      REQUIRE(weir_weak_get(mutator, entry->second.weak) == nullptr);
      weir_weak_destroy(mutator, entry->second.weak);
      entry = shadow_.erase(entry);
    }
  }

  weir_heap* heap_;
  weir_kind kind_ = 0;
  std::mutex lock_;
  void* roots_[kRoots] = {};
  std::uint64_t count_ = 0;
  std::map<std::uint64_t, Shadow> shadow_;
};

void run_shared(const char* name, std::size_t threads, const weir_mutator_config& how,
                std::size_t steps) {
  const std::uint64_t seed = seed_for(name);
  weir_config config = small_heap();
  config.verify = true;
  const TestHeap heap(config);
  SharedGraph graph(heap);
  const auto mutate = [&](std::size_t index) {
    const TestMutator mutator(heap, how);
    Random random(seed + index);
    for (std::size_t i = 0; i < scaled(steps); ++i) {
      weir_poll(mutator);
      graph.step(mutator, random, !how.conservative_stack);
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 0; i < threads; ++i) others.emplace_back(mutate, i);
  for (std::thread& thread : others) thread.join();
  const TestMutator last(heap, kPrecise);
  graph.clear(last);
}

}  // namespace

TEST_CASE("51: a graph that threads share under a lock") {
  run_shared("2 threads share", 2, kPrecise, 40'000);
  run_shared("8 threads share", 8, kPrecise, 10'000);
  run_shared("8 threads share, signals", 8, kBySignal, 4'000);
}

TEST_CASE("62: threads attach, detach, and die attached while others collect") {
  for (const weir_mutator_config& how : {kPrecise, kConservative, kBySignal}) {
    const TestHeap heap;
    std::atomic<bool> is_ending = false;
    std::vector<std::thread> storm;
    for (int i = 0; i < 4; ++i)
      storm.emplace_back([&, i] {
        while (!is_ending) {
          std::thread([&] {
            weir_mutator* mutator = nullptr;
            REQUIRE(weir_mutator_attach(heap, &how, &mutator) == WEIR_OK);
            for (int n = 0; n < 50; ++n)
              REQUIRE(weir_allocate(mutator, WEIR_KIND_SLOTS, 48) != nullptr);
            if (i % 2 == 0) REQUIRE(weir_mutator_detach(mutator) == WEIR_OK);
          }).join();
        }
      });
    {
      const TestMutator mutator(heap, kPrecise);
      for (std::size_t n = 0; n < scaled(400); ++n) collect(mutator);
      weir_enter_blocking(mutator);
      is_ending = true;
      for (std::thread& thread : storm) thread.join();
      weir_leave_blocking(mutator);
    }
    CHECK(heap.statistics().mutators == 0);
  }
}

TEST_CASE("62: a mutator migrates between threads, in blocking regions") {
  const TestHeap heap;
  const TestMutator mutator(heap, kConservative);
  TestFrame<1> frame(mutator);
  std::uint64_t length = 0;
  for (std::size_t round = 0; round < scaled(300); ++round) {
    weir_enter_blocking(mutator);
    // It outlives the mutator's stay: a thread that ends takes those that are on it along.
    std::atomic<int> turn = 0;
    std::thread other([&] {
      weir_leave_blocking(mutator);
      auto* node = static_cast<Node*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Node)));
      node->next[0] = static_cast<Node*>(frame[0]);
      frame[0] = node;
      ++length;
      collect(mutator);
      weir_enter_blocking(mutator);
      turn = 1;
      turn.notify_all();
      turn.wait(1);
    });
    turn.wait(0);
    weir_leave_blocking(mutator);
    turn = 2;
    turn.notify_all();
    other.join();
  }
  std::uint64_t found = 0;
  for (auto* node = static_cast<Node*>(frame[0]); node != nullptr; node = node->next[0]) ++found;
  CHECK(found == length);
}

TEST_CASE("64: alarms ten thousand times a second") {
  const AlarmStorm storm;
  run_graphs({"alarms, 2 threads that poll", 2, kPrecise, 0, true, 20'000});
  run_graphs({"alarms, 2 threads, signals", 2, kBySignal, 0, true, 20'000});
  CHECK(AlarmStorm::rung > 0);
}

TEST_CASE("what a detached mutator allocated stays counted") {
  const TestHeap heap;
  {
    const TestMutator mutator(heap, kPrecise);
    for (int i = 0; i < 100; ++i) (void)weir_allocate(mutator, WEIR_KIND_LEAF, 64);
  }
  CHECK(heap.statistics().allocated_bytes == 6400);
}

TEST_CASE("the verifier knows small objects of large alignment") {
  weir_config config = small_heap();
  config.verify = true;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  frame[0] = weir_allocate_aligned(mutator, WEIR_KIND_LEAF, 100, 65'536);
  collect(mutator);
  weir_object found{};
  CHECK(weir_object_at(mutator, frame[0], &found) == WEIR_OK);
}
