#include "tests/collector/graph.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace weir::test {
namespace {

constexpr std::size_t kHeader = 2;  // words before the edges

void trace_edges(weir_visitor* visitor, void* object, std::size_t from, std::size_t to, void*) {
  const std::size_t first = std::max(from, kHeader * 8);
  const std::size_t last = std::min(to, (kHeader + 4) * 8);
  for (std::size_t at = first; at < last; at += 8)
    weir_visit(visitor, static_cast<char*>(object) + at);
}

weir_kind define(weir_heap* heap, const weir_kind_config& config) {
  weir_kind kind = 0;
  REQUIRE_MESSAGE(weir_kind_define(heap, &config, &kind) == WEIR_OK, weir_error_message());
  return kind;
}

}  // namespace

Kinds::Kinds(weir_heap* heap) : conservative(WEIR_KIND_CONSERVATIVE), slots(WEIR_KIND_SLOTS) {
  weir_kind_config callback{};
  callback.name = "by callback";
  callback.tracing = WEIR_TRACE_CALLBACK;
  callback.trace = trace_edges;
  by_callback = define(heap, callback);
  // Longer than any small object, so that it does not repeat.
  static const std::uint64_t kBits[64] = {0x3c};
  weir_kind_config bitmap{};
  bitmap.name = "by bitmap";
  bitmap.tracing = WEIR_TRACE_BITMAP;
  bitmap.bitmap = kBits;
  bitmap.bitmap_words = 4096;
  by_bitmap = define(heap, bitmap);
}

Graph::Graph(weir_mutator* mutator, const Kinds& kinds, bool is_precise, bool has_finalizers,
             std::uint64_t seed)
    : mutator_(mutator),
      kinds_(kinds),
      is_precise_(is_precise),
      has_finalizers_(has_finalizers),
      random_(seed),
      frame_(mutator) {}

Graph::~Graph() {
  for (auto& [id, shadow] : shadow_) {
    if (shadow.weak != nullptr) weir_weak_destroy(mutator_, shadow.weak);
    if (shadow.ephemeron != nullptr) weir_ephemeron_destroy(mutator_, shadow.ephemeron);
    if (shadow.is_held) (void)weir_free(mutator_, shadow.object);
  }
}

void Graph::on_finalize(weir_mutator*, void* object, void* graph) {
  auto& self = *static_cast<Graph*>(graph);
  const auto* dying = static_cast<const Object*>(object);
  self.finalized_.push_back(dying->id);
  const auto found = self.shadow_.find(dying->id);
  REQUIRE(found != self.shadow_.end());
  self.check_object(dying->id, found->second);  // whole
}

Graph::Id Graph::allocate() {
  const std::size_t classes[] = {6, 7, 8, 12, 40, 200, 1023, 1024, 1025, 5000};
  const bool is_usual = random_() % 16 != 0;
  const std::size_t words = is_usual ? 6 + random_() % 6 : classes[random_() % 10];
  const weir_kind kinds[] = {kinds_.by_bitmap, kinds_.by_callback, kinds_.conservative,
                             kinds_.slots};
  // Beyond its bitmap a kind repeats: large objects are traced otherwise.
  const weir_kind kind =
      words > 4096 ? kinds_.by_callback : kinds[random_() % (words > 12 ? 2 : 4)];
  const bool is_held = random_() % 200 == 0;
  void* memory = nullptr;
  if (is_held)
    memory = weir_allocate_uncollectable(mutator_, kind, words * 8);
  else if (random_() % 64 == 0)
    memory = weir_allocate_aligned(mutator_, kind, words * 8, std::size_t{32} << random_() % 12);
  else
    memory = weir_allocate(mutator_, kind, words * 8);
  REQUIRE(memory != nullptr);
  auto* content = static_cast<std::uint64_t*>(memory);
  for (std::size_t word = 0; word < words; ++word) REQUIRE(content[word] == 0);

  const Id id = next_++;
  content[0] = id;
  content[1] = pattern(id, 1);
  for (std::size_t word = kHeader + kEdges; word < words; ++word) content[word] = pattern(id, word);
  Shadow shadow{};
  shadow.object = static_cast<Object*>(memory);
  shadow.words = words;
  shadow.is_held = is_held;
  shadow_.emplace(id, shadow);
  return id;
}

void Graph::link(Id from, std::size_t edge, Id to) {
  Shadow& shadow = shadow_.at(from);
  shadow.edges[edge] = to;
  shadow.object->edges[edge] = to != 0 ? shadow_.at(to).object : nullptr;
  weir_write_barrier(mutator_, shadow.object, &shadow.object->edges[edge]);
}

void Graph::set_root(std::size_t root, Id to) {
  roots_[root] = to;
  frame_[root] = to != 0 ? shadow_.at(to).object : nullptr;
}

Graph::Id Graph::any_reachable() {
  Id id = roots_[random_() % kRoots];
  for (std::size_t steps = random_() % 6; id != 0 && steps > 0; --steps) {
    const Id next = shadow_.at(id).edges[random_() % kEdges];
    if (next != 0) id = next;
  }
  return id;
}

void Graph::step() {
  weir_poll(mutator_);
  const Id from = any_reachable();
  switch (random_() % 16) {
    case 0:
    case 1:
      set_root(random_() % kRoots, 0);
      break;
    case 2:
    case 3:
      set_root(random_() % kRoots, any_reachable());
      break;
    case 4:
    case 5:
    case 6:
      if (from != 0) link(from, random_() % kEdges, any_reachable());
      break;
    case 7:
      if (from != 0) link(from, random_() % kEdges, 0);
      break;
    case 8:
      if (from != 0) {
        Shadow& shadow = shadow_.at(from);
        if (shadow.weak == nullptr)
          REQUIRE(weir_weak_create(mutator_, shadow.object, &shadow.weak) == WEIR_OK);
        else
          REQUIRE(weir_weak_get(mutator_, shadow.weak) == shadow.object);
      }
      break;
    case 9:
      if (has_finalizers_ && from != 0 && random_() % 4 == 0) {
        Shadow& shadow = shadow_.at(from);
        if (shadow.finalizer == 0) {
          REQUIRE(weir_finalizer_set(mutator_, shadow.object, on_finalize, this) == WEIR_OK);
          shadow.finalizer = ++finalizers_;
        }
      }
      break;
    case 10:
      if (from != 0 && random_() % 4 == 0) {
        Shadow& shadow = shadow_.at(from);
        const Id value = any_reachable();
        if (shadow.ephemeron == nullptr && value != 0) {
          REQUIRE(weir_ephemeron_create(mutator_, shadow.object, shadow_.at(value).object,
                                        &shadow.ephemeron) == WEIR_OK);
          shadow.ephemeron_value = value;
        }
      }
      break;
    default: {
      const Id id = allocate();
      if (from != 0 && random_() % 2 == 0)
        link(from, random_() % kEdges, id);
      else
        set_root(random_() % kRoots, id);
      const Id to = any_reachable();
      if (to != 0) link(id, random_() % kEdges, to);
      Shadow& shadow = shadow_.at(id);
      if (shadow.is_held && random_() % 2 == 0) {
        REQUIRE(weir_free(mutator_, shadow.object) == WEIR_OK);
        shadow.is_held = false;
      }
    }
  }
}

std::set<Graph::Id> Graph::reachable() const {
  std::set<Id> seen;
  std::vector<Id> stack;
  const auto add = [&](Id id) {
    if (id != 0 && seen.insert(id).second) stack.push_back(id);
  };
  for (const Id root : roots_) add(root);
  for (const auto& [id, shadow] : shadow_)
    if (shadow.is_held) add(id);
  while (!stack.empty()) {
    const Shadow& shadow = shadow_.at(stack.back());
    stack.pop_back();
    for (const Id edge : shadow.edges) add(edge);
    add(shadow.ephemeron_value);
  }
  return seen;
}

void Graph::check_object(Id id, const Shadow& shadow) {
  const auto* content = reinterpret_cast<const std::uint64_t*>(shadow.object);
  REQUIRE(content[0] == id);
  REQUIRE(content[1] == pattern(id, 1));
  for (std::size_t edge = 0; edge < kEdges; ++edge) {
    const Id to = shadow.edges[edge];
    REQUIRE(shadow.object->edges[edge] == (to != 0 ? shadow_.at(to).object : nullptr));
  }
  for (std::size_t word = kHeader + kEdges; word < shadow.words; ++word)
    REQUIRE(content[word] == pattern(id, word));
}

void Graph::check_reachable() {
  for (const Id id : reachable()) check_object(id, shadow_.at(id));
}

void Graph::forget(Id id) {
  Shadow& shadow = shadow_.at(id);
  if (shadow.weak != nullptr) weir_weak_destroy(mutator_, shadow.weak);
  if (shadow.ephemeron != nullptr) weir_ephemeron_destroy(mutator_, shadow.ephemeron);
  shadow_.erase(id);
}

void Graph::run_finalizers(const std::set<Id>& live, bool of_one_collection) {
  finalized_.clear();
  weir_finalizers_run(mutator_, static_cast<std::size_t>(-1));
  std::uint64_t before = 0;
  for (const Id id : finalized_) {
    REQUIRE(!live.contains(id));
    Shadow& shadow = shadow_.at(id);
    REQUIRE(shadow.finalizer != 0);  // once
    if (of_one_collection) REQUIRE(shadow.finalizer > before);
    before = std::exchange(shadow.finalizer, 0);
  }
}

void Graph::collect_and_check() {
  const std::set<Id> live = reachable();
  // Objects that are due from earlier collections keep others alive, until their finalizers ran.
  if (is_precise_)
    while (weir_finalizers_due(weir_mutator_heap(mutator_)) != 0) run_finalizers(live, false);
  collect(mutator_);
  for (const Id id : live) {
    const Shadow& shadow = shadow_.at(id);
    check_object(id, shadow);
    if (shadow.weak != nullptr) REQUIRE(weir_weak_get(mutator_, shadow.weak) == shadow.object);
    if (shadow.ephemeron != nullptr) {
      REQUIRE(weir_ephemeron_key(mutator_, shadow.ephemeron) == shadow.object);
      REQUIRE(weir_ephemeron_value(mutator_, shadow.ephemeron) ==
              shadow_.at(shadow.ephemeron_value).object);
    }
  }
  if (!is_precise_) return;

  run_finalizers(live, true);
  std::vector<Id> dead;
  for (auto& [id, shadow] : shadow_) {
    if (live.contains(id)) continue;
    if (shadow.weak != nullptr) REQUIRE(weir_weak_get(mutator_, shadow.weak) == nullptr);
    REQUIRE(shadow.finalizer == 0);
    dead.push_back(id);
  }
  for (const Id id : dead) forget(id);
}

void Graph::collect_minor_and_check() {
  REQUIRE(weir_collect_minor(mutator_) == WEIR_OK);
  for (const Id id : reachable()) {
    const Shadow& shadow = shadow_.at(id);
    check_object(id, shadow);
    if (shadow.weak != nullptr) REQUIRE(weir_weak_get(mutator_, shadow.weak) == shadow.object);
    if (shadow.ephemeron != nullptr)
      REQUIRE(weir_ephemeron_key(mutator_, shadow.ephemeron) == shadow.object);
  }
}

bool run_graphs(const GraphRun& how) {
  const std::uint64_t seed = seed_for(how.name);
  weir_config config = small_heap();
  config.stress = how.stress;
  config.verify = how.verify;
  config.barrier = how.barrier;
  config.arena = how.arena;
  if (!TestHeap::can_be_made(config)) return false;
  const TestHeap heap(config);
  const Kinds kinds(heap);
  const bool is_precise = !how.mutator.conservative_stack;
  // They are run by whoever asks: of several threads each would run the others'.
  const bool has_finalizers = how.threads == 1;
  const auto mutate = [&](std::size_t index) {
    const TestMutator mutator(heap, how.mutator);
    Graph graph(mutator, kinds, is_precise, has_finalizers, seed + index);
    const std::size_t steps = scaled(how.steps);
    const std::size_t between = std::max<std::size_t>(steps / 40, 50);
    for (std::size_t step = 1; step <= steps; ++step) {
      graph.step();
      if (step % between == 0 || step == steps)
        graph.collect_and_check();
      else if (step % (between / 8) == 0)
        graph.collect_minor_and_check();
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t index = 1; index < how.threads; ++index) threads.emplace_back(mutate, index);
  mutate(0);
  for (std::thread& thread : threads) thread.join();
  const weir_statistics statistics = heap.statistics();
  CHECK(statistics.full_collections > 0);
  CHECK(statistics.minor_collections > 0);
  return true;
}

}  // namespace weir::test
