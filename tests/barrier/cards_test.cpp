// The software barrier on a table that somebody else owns, and that marks without a call.
#include <doctest/doctest.h>
#include <weir/weir.h>

#include "runtime/barrier/card_barrier.hpp"
#include "runtime/barrier/selection.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/support/backends.hpp"

using namespace weir;
using namespace weir::test;
using barrier::CardBarrier;
using barrier::CardTable;
using barrier::kCardShift;
using barrier::Then;

namespace {

constexpr std::size_t kPages = 64;
constexpr std::size_t kCard = std::size_t{1} << kCardShift;

// Memory, and its cards behind it as a heap has them.
struct Rig {
  Rig()
      : memory(os::Mapping::anonymous(2 * kPages * os::page_size()).value()),
        objects{memory.range().begin, kPages * os::page_size()},
        table{objects, objects.end().as<std::uint8_t>()} {
    mutator.cards = table.biased();
  }
  char* card(std::size_t index) const { return (objects.begin + index * kCard).as<char>(); }
  void store(std::size_t index) {
    *card(index) = 'x';
    weir_write_barrier(&mutator, card(index), card(index));
  }

  os::Mapping memory;
  Range objects;
  CardTable table;
  weir_mutator mutator{};
};

}  // namespace

TEST_CASE("what weir_write_barrier marks is what a take reports, card by card") {
  Rig rig;
  CardBarrier barrier(rig.table);
  REQUIRE(barrier.attach(rig.objects).has_value());
  CHECK(barrier.table_of(rig.objects)->cards == rig.table.cards);
  rig.store(5);  // before it was armed
  REQUIRE(barrier.arm(rig.objects).has_value());
  PageSet written;
  for (const std::size_t card : {0, 6, 7, 8, 9, 63, 64, 65, 200, 511}) {
    rig.store(card);
    written.insert(card);
  }
  CHECK(take_pages(barrier, rig.objects, Then::rearm, kCard) == written);
  CHECK(take_pages(barrier, rig.objects, Then::rearm, kCard) == PageSet{});

  // A part that begins and ends within eight cards leaves its neighbours marked.
  for (const std::size_t card : {10, 11, 12, 13}) rig.store(card);
  const Range part{rig.objects.begin + 11 * kCard, 2 * kCard};
  CHECK(take_pages(barrier, part, Then::leave_unarmed, kCard) == PageSet{0, 1});
  for (const std::size_t card : {11, 12}) rig.store(card);
  CHECK(take_pages(barrier, rig.objects, Then::rearm, kCard) == PageSet{10, 13});
  CHECK(barrier.detach(rig.objects).has_value());
}

TEST_CASE("memory beside the shared table has a table of its own, as the self-test needs it") {
  const Rig rig;
  auto barrier = barrier::open_barrier(BarrierKind::cards, {}, false, rig.table);
  REQUIRE_MESSAGE(barrier.has_value(), barrier.error().message());
  const os::Mapping other = os::Mapping::anonymous(kPages * os::page_size()).value();
  REQUIRE((*barrier)->attach(other.range()).has_value());
  REQUIRE((*barrier)->attach(rig.objects).has_value());
  REQUIRE((*barrier)->arm(other.range()).has_value());
  store(**barrier, other.as<char>() + 3 * os::page_size(), 'x');
  for (std::size_t card = 0; card < kPages * os::page_size() / kCard; ++card)
    REQUIRE(rig.table.cards[card] == 0);
  CHECK(take_pages(**barrier, other.range()) == PageSet{3});
}

TEST_CASE("without cards weir_write_barrier does nothing") {
  weir_mutator mutator{};
  weir_write_barrier(&mutator, &mutator, nullptr);
}
