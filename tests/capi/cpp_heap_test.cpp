// Heaps, mutators and scopes of the C++ API: what ends with a scope, and errors as values.
#include <string>
#include <utility>

#include "tests/capi/cpp_rig.hpp"

using namespace weir;
using namespace weir::test;

TEST_CASE("a configuration that can never be right is an error with the C API's sentence") {
  weir_config config = default_config();
  config.growth = 0.5;
  const auto heap = Heap::create(config);
  REQUIRE_FALSE(heap.has_value());
  CHECK(heap.error().code == ErrorCode::invalid_argument);
  CHECK(heap.error().message() == std::string(weir_error_message()));
  CHECK(heap.error().message().find("growth") != std::string::npos);
}

TEST_CASE("locals keep their objects, until their scope ends") {
  CollectedHeap rig;
  {
    Local<Node> first(rig.mutator, rig.mutator.make(rig.node));
    {
      const Local<Node> second(rig.mutator, rig.mutator.make(rig.node, nullptr, 7L));
      CHECK(rig.live_objects() == 2);
      CHECK((*second).value == 7);
    }
    CHECK(rig.live_objects() == 1);
    first = rig.mutator.make(rig.node, nullptr, 8L);
    CHECK(rig.live_objects() == 1);
    CHECK(first->value == 8);
  }
  CHECK(rig.live_objects() == 0);
}

TEST_CASE("registered roots keep their objects, until they are removed") {
  CollectedHeap rig;
  Node* roots[2] = {rig.mutator.make(rig.node), rig.mutator.make(rig.node)};
  must(rig.heap.add_roots(roots, 2));
  CHECK(rig.live_objects() == 2);
  must(rig.heap.remove_roots(roots));
  CHECK(rig.live_objects() == 0);
  CHECK(rig.heap.remove_roots(roots).error().code == ErrorCode::not_registered);
}

TEST_CASE("a heap and a mutator can be moved, and end once") {
  auto made = must(Heap::create());
  Heap heap = std::move(made);
  auto attached = must(heap.attach());
  CHECK(heap.statistics().mutators == 1);
  {
    const Mutator mutator = std::move(attached);
    CHECK(attached.get() == nullptr);  // NOLINT(bugprone-use-after-move): that is the test
    const auto busy = heap.destroy();
    REQUIRE_FALSE(busy.has_value());
    CHECK(busy.error().code == ErrorCode::busy);
  }
  CHECK(heap.statistics().mutators == 0);
  CHECK(heap.destroy().has_value());
  CHECK(heap.get() == nullptr);
}

TEST_CASE("no collection begins inside NoCollect") {
  CollectedHeap rig;
  {
    const NoCollect scope(rig.mutator);
    const auto collected = rig.mutator.collect();
    REQUIRE_FALSE(collected.has_value());
    CHECK(collected.error().code == ErrorCode::busy);
  }
  CHECK(rig.mutator.collect().has_value());
}

TEST_CASE("a mutator inside Blocking is not waited for") {
  CollectedHeap rig;
  auto other = must(rig.heap.attach(kPrecise));
  const Local<Node> kept(rig.mutator, rig.mutator.make(rig.node));
  {
    const Blocking scope(rig.mutator);  // never polls
    CHECK(other.collect().has_value());
  }
  other.poll();
  CHECK(kept->value == 0);
  CHECK(rig.heap.statistics().collections == 1);
}

TEST_CASE("limits at run time: out of memory is nullptr, and more memory is memory") {
  CollectedHeap rig;
  constexpr std::size_t kMiB = 1 << 20;
  must(rig.heap.set_limits(kMiB, 2 * kMiB));
  CHECK(rig.mutator.make_array(kBuiltIn<char>, 4 * kMiB) == nullptr);
  must(rig.heap.set_limits(kMiB, 8 * kMiB));
  CHECK(rig.mutator.make_array(kBuiltIn<char>, 4 * kMiB) != nullptr);
}
