#include "runtime/heap/kinds.hpp"

#include <doctest/doctest.h>
#include <weir/weir.h>

#include <cstddef>
#include <string>

using namespace weir;
using namespace weir::heap;

namespace {

Kind named(const char* name) {
  Kind kind;
  kind.name = name;
  return kind;
}

void trace_nothing(weir_visitor*, void*, std::size_t, std::size_t, void*) {}

Kind with_bitmap(std::size_t words) {
  Kind kind = named("bitmap");
  kind.bitmap.resize((words + 63) / 64);
  kind.bitmap_words = words;
  return kind;
}

}  // namespace

TEST_CASE("the built-in kinds are those of the C API") {
  const Kinds kinds;
  CHECK(KindTag::of(TraceClass::leaf).value() == WEIR_KIND_LEAF);
  CHECK((WEIR_KIND_LEAF >> 16) == offsetof(weir_mutator, spans[1]));
  CHECK(KindTag::of(TraceClass::conservative).value() == WEIR_KIND_CONSERVATIVE);
  CHECK(KindTag::of(TraceClass::slots).value() == WEIR_KIND_SLOTS);
  for (const auto value : {WEIR_KIND_LEAF, WEIR_KIND_CONSERVATIVE, WEIR_KIND_SLOTS}) {
    const Kind* kind = kinds.find(KindTag(value));
    REQUIRE(kind != nullptr);
    CHECK(kind->tag == KindTag(value));
  }
}

TEST_CASE("a tag says what its kind is, and any other bits are no kind") {
  Kinds kinds;
  const KindTag leaf = *kinds.define(TraceClass::leaf, named("leaf"));
  const KindTag slots = *kinds.define(TraceClass::slots, named("slots"));
  CHECK(leaf.is_leaf());
  CHECK_FALSE(slots.is_leaf());
  CHECK(slots.trace_class() == TraceClass::slots);
  CHECK(kinds.find(slots)->name == "slots");
  CHECK(&kinds.by_number(slots.number()) == kinds.find(slots));
  CHECK(slots.number() < MetadataByte::kStart);

  std::size_t known = 0;
  for (std::uint32_t value = 0; value < 0x400000; ++value)
    if (kinds.find(KindTag(value)) != nullptr) ++known;
  CHECK(known == 5);
  for (unsigned bit = 16; bit < 32; ++bit)
    CHECK(kinds.find(KindTag(slots.value() | 1u << bit)) == nullptr);
}

TEST_CASE("a kind that makes no sense is an error, and defines nothing") {
  Kinds kinds;
  const auto refuses = [&](TraceClass trace, const Kind& kind) {
    const auto tag = kinds.define(trace, kind);
    return !tag && tag.error().code == ErrorCode::invalid_argument;
  };
  CHECK(refuses(TraceClass::slots, named("")));
  CHECK(refuses(TraceClass::bitmap, named("no bitmap")));
  CHECK(refuses(TraceClass::bitmap, with_bitmap(Kinds::kMaxBitmapWords + 1)));
  CHECK(refuses(TraceClass::slots, with_bitmap(3)));
  CHECK(refuses(TraceClass::callback, named("no callback")));
  Kind callback = named("callback");
  callback.trace = trace_nothing;
  CHECK(refuses(TraceClass::slots, callback));
  Kind outside = named("outside");
  outside.reaches_off_heap = true;
  CHECK(refuses(TraceClass::slots, outside));
  Kind movable = named("movable");
  movable.movable = true;
  CHECK(refuses(TraceClass::conservative, movable));

  CHECK(kinds.define(TraceClass::slots, movable)->number() == 1);
  callback.reaches_off_heap = true;
  CHECK(kinds.define(TraceClass::callback, callback)->number() == 2);
  CHECK(kinds.define(TraceClass::bitmap, with_bitmap(Kinds::kMaxBitmapWords))->number() == 3);
}

TEST_CASE("a heap has 120 kinds and no more") {
  Kinds kinds;
  for (std::size_t i = 0; i < Kinds::kMaxKinds; ++i)
    REQUIRE(kinds.define(TraceClass::slots, named(std::to_string(i).c_str())));
  CHECK(kinds.define(TraceClass::slots, named("one more")).error().code ==
        ErrorCode::out_of_memory);
  for (std::size_t i = 0; i < Kinds::kMaxKinds; ++i)
    CHECK(kinds.by_number(static_cast<std::uint8_t>(i + 1)).name == std::to_string(i));
}
