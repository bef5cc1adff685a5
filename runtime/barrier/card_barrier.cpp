#include "runtime/barrier/card_barrier.hpp"

#include <atomic>
#include <cstring>

#include "runtime/os/fault_gate.hpp"

namespace weir::barrier {
namespace {

BarrierTraits card_traits() {
  BarrierTraits traits;
  traits.granularity = std::size_t{1} << kCardShift;
  traits.needs_calls = true;
  return traits;
}

// Eight cards are looked at at once, since few are marked. An attached range is made of whole
// pages, so its cards start at, and their number is, a multiple of eight.
constexpr std::size_t kGroup = sizeof(std::uint64_t);

// Of those cards of a word of units that `wanted` has: which are marked; they are clear afterwards.
// A card is cleared before its memory is read, so a mark that comes later is seen next time.
std::uint64_t take_marked(std::uint8_t* cards, std::uint64_t wanted) {
  std::uint64_t taken = 0;
  while (wanted != 0) {
    const auto first = static_cast<std::size_t>(std::countr_zero(wanted)) / kGroup * kGroup;
    const std::uint64_t group = std::uint64_t{0xff} << first;
    std::atomic_ref all(*Address(cards + first).as<std::uint64_t>());
    if (all.load(std::memory_order_relaxed) != 0) {
      for (std::uint64_t rest = wanted & group; rest != 0; rest &= rest - 1) {
        const auto unit = static_cast<std::size_t>(std::countr_zero(rest));
        std::atomic_ref card(cards[unit]);
        if (card.load(std::memory_order_relaxed) == 0 || card.exchange(0) == 0) continue;
        taken |= std::uint64_t{1} << unit;
      }
    }
    wanted &= ~group;
  }
  return taken;
}

}  // namespace

CardBarrier::CardBarrier(const CardTable& shared)
    : Barrier(BarrierKind::cards, card_traits()), shared_(shared) {}

Expected<> CardBarrier::begin(TrackedRange& tracked) {
  auto cards = std::make_unique<Cards>();
  cards->table.covered = tracked.range;
  if (shared_.cards != nullptr && shared_.covered.contains(tracked.range)) {
    if (!shared_.owned.contains(tracked.range))
      if (auto memory = shared_.commit(tracked.range); !memory) return memory;
    cards->table.cards = shared_.card_of(tracked.range.begin);
  } else {
    auto own = os::OffHeapArray<std::uint8_t>::create(tracked.units().count);
    if (!own) return Unexpected(own.error());
    cards->own = std::move(*own);
    cards->table.cards = cards->own.data();
  }
  os::FaultGate::Changing change;
  change.publish(cards_, cards_.with(tracked.range, cards.release()));
  return {};
}

void CardBarrier::end(TrackedRange& tracked) {
  os::FaultGate::Changing change;
  const std::unique_ptr<Cards> cards(cards_.find_exactly(tracked.range)->value);
  change.publish(cards_, cards_.without(tracked.range));
  if (cards->own.empty() && !shared_.owned.contains(tracked.range)) shared_.discard(tracked.range);
}

std::uint8_t* CardBarrier::cards_of(const TrackedRange& tracked) {
  return cards_.find_exactly(tracked.range)->value->table.cards;
}

Expected<CardTable> CardBarrier::table_of(Range range) {
  const os::FaultGate::Operating gate;
  auto* entry = cards_.find_exactly(range);
  if (entry == nullptr)
    return fail(ErrorCode::not_registered, "looking up a card table",
                "it is not a range that was attached", range);
  return entry->value->table;
}

void CardBarrier::record(Range written) noexcept {
  const os::FaultGate::Operating gate;
  auto* entry = cards_.find(written.begin);
  if (entry == nullptr) return;
  const Address card = written.begin.align_down(traits_.granularity);
  for (Address at = card; at < written.end() && entry->range.contains(at);
       at = at + traits_.granularity)
    entry->value->table.mark(at);
}

Expected<> CardBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  std::memset(cards_of(tracked) + span.first, 0, span.count);
  tracked.armed.set(span);
  return {};
}

Expected<> CardBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  std::uint8_t* const cards = cards_of(tracked);
  UnitBits::for_words(span, [&](std::size_t index, std::uint64_t mask) {
    const std::uint64_t armed = mask & tracked.armed.load(index);
    if (armed == 0) return;
    const std::uint64_t taken = take_marked(cards + index * UnitBits::kWordBits, armed);
    if (taken == 0) return;
    tracked.taken.set_in(index, taken);
    if (then == Then::leave_unarmed) tracked.armed.clear_in(index, taken);
  });
  return {};
}

}  // namespace weir::barrier
