#include "runtime/heap/span_allocator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

constexpr std::size_t kMaximum = std::size_t{64} << 20;

// One mutator's allocator of a space, and what should be in it.
struct Rig {
  std::unique_ptr<Space> space;
  weir_mutator mutator{};
  SpanAllocator allocator;
  KindTag numbered;

  struct Object {
    std::size_t bytes;
    KindTag kind;
    unsigned char pattern;
  };
  std::map<Address, Object> model;

  explicit Rig(bool one_at_a_time = false)
      : space(*Space::create(
            {.maximum = kMaximum, .reserved = kMaximum, .huge = os::HugePages::never})),
        allocator(*space, mutator.spans[0], false, one_at_a_time) {
    mutator.metadata = space->metadata().biased();
    Kind kind;
    kind.name = "numbered";
    numbered = *space->kinds().define(TraceClass::slots, kind);
  }

  bool fits_inline(std::size_t bytes) const {
    return static_cast<std::size_t>(mutator.spans[0].limit - mutator.spans[0].bump) >= bytes;
  }
  // Nothing if memory ran out.
  std::optional<Address> allocate(std::size_t bytes, std::size_t alignment, KindTag kind) {
    if (alignment == kGranuleBytes && fits_inline(bytes))
      return Address(weir_allocate(&mutator, kind.value(), bytes));
    const auto made = allocator.allocate(bytes, alignment, kind, true);
    if (made) return *made;
    REQUIRE(made.error() == Refusal::out_of_memory);
    return std::nullopt;
  }
  void add(Address begin, const Object& object) {
    const auto next = model.lower_bound(begin);
    if (next != model.end()) REQUIRE(begin + object.bytes <= next->first);
    if (next != model.begin())
      REQUIRE(std::prev(next)->first + std::prev(next)->second.bytes <= begin);
    const auto* bytes = begin.as<unsigned char>();
    REQUIRE(std::all_of(bytes, bytes + object.bytes, [](unsigned char b) { return b == 0; }));
    std::memset(begin.as(), object.pattern, object.bytes);
    model.emplace(begin, object);
  }
  bool allocate_any(test::Random& random, std::size_t largest) {
    const std::size_t alignment = random() % 8 != 0 ? kGranuleBytes : kGranuleBytes << random() % 9;
    std::size_t bytes = round_to_granules(1 + random() % largest);
    if (alignment > kGranuleBytes) bytes = std::min(bytes, kSmallMax - alignment);
    const bool is_numbered = bytes > kGranuleBytes && random() % 2 != 0;
    const Object object{bytes, is_numbered ? numbered : KindTag::of(TraceClass::conservative),
                        static_cast<unsigned char>(1 + random() % 255)};
    const auto begin = allocate(bytes, alignment, object.kind);
    if (!begin) return false;
    REQUIRE(begin->is_aligned(alignment));
    add(*begin, object);
    return true;
  }
  void check(test::Random& random) {
    allocator.mark_end();
    for (const auto& [begin, object] : model) {
      const auto* bytes = begin.as<unsigned char>();
      const unsigned char pattern = object.pattern;
      REQUIRE(std::all_of(bytes, bytes + object.bytes,
                          [pattern](unsigned char b) { return b == pattern; }));
      const auto found = space->find(begin + random() % object.bytes);
      REQUIRE(found);
      REQUIRE(found->range == Range{begin, object.bytes});
      REQUIRE(found->kind == object.kind);
    }
  }
  // A collection in which the mutator was stopped by a poll, or by a signal (`hold`), and one of
  // `one_in` objects is reachable.
  void collect(test::Random& random, unsigned one_in, bool hold) {
    std::optional<SpanAllocator::Held> held;
    if (hold)
      held = allocator.hold();
    else
      allocator.retire();
    space->finish_sweeping();
    space->begin_marking();
    std::size_t live = 0;
    std::vector<Address> dead;
    for (const auto& [begin, object] : model) {
      const bool kept = held && begin == held->last;
      if (!kept && random() % one_in != 0) {
        dead.push_back(begin);
        continue;
      }
      REQUIRE(space->metadata().mark_once(begin, space->epoch()));
      space->region().block(space->region().block_of(begin)).note_survivor();
      live += object.bytes;
    }
    space->end_marking(live, true);
    if (held) {
      CHECK(space->region().block(held->block).state() == BlockState::owned);
      space->sweep(held->block, held->keep);
    }
    for (const Address begin : dead) {
      REQUIRE_FALSE(space->find(begin));
      model.erase(begin);
    }
  }
};

}  // namespace

TEST_CASE("spans: zeroed, aligned, apart from what lives in the holes' walls") {
  test::Random random(test::seed_for("spans"));
  for (const bool one_at_a_time : {false, true}) {
    Rig rig(one_at_a_time);
    for (std::size_t round = 0; round < test::scaled(60) + 2; ++round) {
      const std::size_t largest = std::size_t{32} << random() % 9;
      const std::size_t budget = std::size_t{2} << 20;
      for (std::size_t taken = 0; taken < budget; taken += largest / 2)
        if (!rig.allocate_any(random, largest)) break;
      rig.check(random);
      rig.collect(random, 1 + static_cast<unsigned>(random() % 6), random() % 2 != 0);
      rig.check(random);
    }
  }
}

TEST_CASE("what is allocated is counted") {
  Rig rig;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < 10'000; ++i) {
    const std::size_t size = kGranuleBytes * (1 + i % 20);
    REQUIRE(rig.allocate(size, kGranuleBytes, KindTag::of(TraceClass::slots)));
    bytes += size;
    if (i % 1000 == 0) rig.allocator.mark_end();
  }
  rig.allocator.retire();
  CHECK(rig.allocator.take_allocated() == bytes);
  CHECK(rig.allocator.take_allocated() == 0);
}

TEST_CASE("holes are used again, so that churn in a heap of one size needs no more blocks") {
  test::Random random(test::seed_for("churn"));
  Rig rig;
  std::size_t most = 0;
  for (int round = 0; round < 30; ++round) {
    while (rig.model.size() < 20'000) REQUIRE(rig.allocate_any(random, 64));
    rig.collect(random, 2, false);
    if (round == 10) most = rig.space->in_blocks();
  }
  CHECK(rig.space->in_blocks() <= most + most / 4);
}

// A mutator that a signal stopped inside weir_allocate: the bump pointer is behind the object, the
// metadata is not written yet.
TEST_CASE("an allocation under way survives a collection and is whole when it is done") {
  test::Random random(test::seed_for("allocation under way"));
  std::size_t stopped = 0;
  for (std::size_t round = 0; round < test::scaled(100) + 20; ++round) {
    Rig rig;
    const std::size_t before = random() % 2000;
    for (std::size_t i = 0; i < before; ++i) rig.allocate_any(random, 128);
    if (random() % 2 != 0) rig.collect(random, 1 + static_cast<unsigned>(random() % 5), false);
    for (std::size_t i = 0; i < 3; ++i) rig.allocate_any(random, 128);
    for (int cycles = 0; cycles < 2; ++cycles) rig.collect(random, 3, true);

    const std::size_t bytes = kGranuleBytes * (1 + random() % 8);
    if (!rig.fits_inline(bytes)) continue;
    ++stopped;
    weir_span& span = rig.mutator.spans[0];
    const Address begin(span.bump);
    span.bump += bytes;
    const std::size_t cycles = 1 + random() % 4;
    for (std::size_t i = 0; i < cycles; ++i)
      rig.collect(random, 1 + static_cast<unsigned>(random() % 3), true);
    REQUIRE(Address(span.bump) == begin + bytes);
    const KindTag kind = KindTag::of(TraceClass::conservative);
    rig.space->metadata().store(begin, kind.start_byte());
    rig.add(begin, {bytes, kind, 0x55});

    rig.check(random);
    for (std::size_t i = 0; i < 500; ++i) rig.allocate_any(random, 256);
    rig.check(random);
    rig.collect(random, 2, false);
    rig.check(random);
  }
  CHECK(stopped > 0);
}

TEST_CASE("there is nothing to hold without a span, and retiring twice is as once") {
  Rig rig;
  CHECK_FALSE(rig.allocator.hold());
  rig.allocator.retire();
  REQUIRE(rig.allocate(32, 16, KindTag::of(TraceClass::slots)));
  rig.allocator.retire();
  rig.allocator.retire();
  CHECK_FALSE(rig.allocator.block());
  CHECK_FALSE(rig.allocator.hold());
  CHECK_FALSE(rig.fits_inline(16));
}
