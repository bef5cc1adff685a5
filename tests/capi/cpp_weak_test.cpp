// Weak references, ephemerons and finalizers of the C++ API.
#include <utility>

#include "tests/capi/cpp_rig.hpp"

using namespace weir;
using namespace weir::test;

namespace {

long finalized = 0;

void add_up(MutatorRef, Node* node) {
  finalized += node->value;
}

}  // namespace

TEST_CASE("a weak reference is cleared with its object, not before") {
  CollectedHeap rig;
  Local<Node> root(rig.mutator, rig.mutator.make(rig.node));
  auto made = must(Weak<Node>::create(rig.mutator, root));
  const Weak<Node> weak = std::move(made);
  must(rig.mutator.collect());
  CHECK(weak.get() == root.get());
  root = nullptr;
  must(rig.mutator.collect());
  CHECK(weak.get() == nullptr);
  CHECK(rig.heap.statistics().weak_cells == 1);
}

TEST_CASE("weak references belong to objects only") {
  CollectedHeap rig;
  Node outside;
  const auto refused = Weak<Node>::create(rig.mutator, &outside);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::invalid_argument);
  CHECK(rig.heap.statistics().weak_cells == 0);
}

TEST_CASE("an ephemeron's value lives as long as its key") {
  CollectedHeap rig;
  Local<Node> key(rig.mutator, rig.mutator.make(rig.node));
  Local<Node> value(rig.mutator, rig.mutator.make(rig.node, nullptr, 5L));
  const auto pair = must(Ephemeron<Node, Node>::create(rig.mutator, key, value));
  value = nullptr;
  must(rig.mutator.collect());
  REQUIRE(pair.value() != nullptr);
  CHECK(pair.value()->value == 5);
  CHECK(pair.key() == key.get());
  key = nullptr;
  must(rig.mutator.collect());
  CHECK(pair.key() == nullptr);
  CHECK(pair.value() == nullptr);
}

TEST_CASE("a finalizer sees its object whole, once") {
  CollectedHeap rig;
  finalized = 0;
  Node* node = rig.mutator.make(rig.node, nullptr, 11L);
  must(rig.mutator.set_finalizer<add_up>(node));
  Node* spared = rig.mutator.make(rig.node, nullptr, 100L);
  must(rig.mutator.set_finalizer<add_up>(spared));
  must(rig.mutator.clear_finalizer(spared));
  must(rig.mutator.collect());
  CHECK(rig.mutator.run_finalizers() == 1);
  CHECK(finalized == 11);
  must(rig.mutator.collect());
  CHECK(rig.mutator.run_finalizers() == 0);
}

TEST_CASE("a heap's end runs the finalizers of what still lives") {
  finalized = 0;
  {
    auto heap = must(Heap::create());
    const auto kind = must(heap.define<Node>("node"));
    const auto mutator = must(heap.attach());
    must(mutator.set_finalizer<add_up>(mutator.make(kind, nullptr, 3L)));
  }
  CHECK(finalized == 3);
}
