// Types say how they are traced, and the heap keeps exactly what that reaches.
#include <cstdint>
#include <string>

#include "tests/capi/cpp_rig.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Text {
  char bytes[24] = {};
  static constexpr auto kSlots = slots();
};

// The references are where only code finds them: tagged in the lowest bit.
struct Tagged {
  std::uintptr_t words[4] = {};
  static void trace(Visitor visitor, Tagged& tagged, std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < to; at += sizeof(std::uintptr_t)) {
      std::uintptr_t& word = tagged.words[at / sizeof(std::uintptr_t)];
      if ((word & 1) != 0)
        visitor.visit_decoded(&word, reinterpret_cast<void*>(word & ~std::uintptr_t{1}));
    }
  }
};

struct Plain {
  long head = 0;
  Node* nodes[3] = {};
  static void trace(Visitor visitor, Plain& plain, std::size_t, std::size_t) {
    for (Node*& node : plain.nodes) visitor.visit(node);
  }
};

}  // namespace

TEST_CASE("members that are slots are followed, and no others") {
  CollectedHeap rig;
  const Local<Node> root(rig.mutator, rig.mutator.make(rig.node));
  root->next = rig.mutator.make(rig.node, nullptr, 2L);
  root->other = rig.mutator.make(rig.node, nullptr, 3L);
  root->value = reinterpret_cast<long>(rig.mutator.make(rig.node));
  CHECK(rig.live_objects() == 3);
  CHECK(root->next->value == 2);
  CHECK(root->other->value == 3);
  root->next = nullptr;
  CHECK(rig.live_objects() == 2);
}

TEST_CASE("an array of a type is traced like each of them") {
  CollectedHeap rig;
  constexpr std::size_t kCount = 5000;  // larger than a block
  const Local<Node> nodes(rig.mutator, rig.mutator.make_array(rig.node, kCount));
  REQUIRE(nodes.get() != nullptr);
  for (std::size_t i = 0; i < kCount; ++i) nodes.get()[i].other = rig.mutator.make(rig.node);
  CHECK(rig.live_objects() == kCount + 1);
}

TEST_CASE("a type without slots is a leaf") {
  CollectedHeap rig;
  const auto text = must(rig.heap.define<Text>("text"));
  const Local<Text> root(rig.mutator, rig.mutator.make(text));
  Node* node = rig.mutator.make(rig.node);
  __builtin_memcpy(root->bytes, &node, sizeof node);
  CHECK(rig.live_objects() == 1);
  CHECK(std::string(weir_kind_name(rig.heap.get(), text.value)) == "text");
}

TEST_CASE("a trace function finds what it reports") {
  CollectedHeap rig;
  const auto tagged = must(rig.heap.define<Tagged>("tagged"));
  const auto plain = must(rig.heap.define<Plain>("plain"));
  const Local<Tagged> first(rig.mutator, rig.mutator.make(tagged));
  first->words[3] = reinterpret_cast<std::uintptr_t>(rig.mutator.make(rig.node)) | 1;
  first->words[2] = reinterpret_cast<std::uintptr_t>(rig.mutator.make(rig.node));  // not tagged
  const Local<Plain> second(rig.mutator, rig.mutator.make(plain));
  second->nodes[2] = rig.mutator.make(rig.node);
  CHECK(rig.live_objects() == 4);
}

TEST_CASE("numbers and pointers have kinds of their own") {
  CollectedHeap rig;
  const Local<Node*> table(rig.mutator, rig.mutator.make_array(kBuiltIn<Node*>, 10));
  table.get()[9] = rig.mutator.make(rig.node);
  const Local<std::uintptr_t> numbers(rig.mutator,
                                      rig.mutator.make_array(kBuiltIn<std::uintptr_t>, 1000));
  numbers.get()[999] = reinterpret_cast<std::uintptr_t>(rig.mutator.make(rig.node));
  CHECK(rig.live_objects() == 3);
  CHECK(rig.mutator.make_array(kBuiltIn<double>, ~std::size_t{0} / 4) == nullptr);
}
