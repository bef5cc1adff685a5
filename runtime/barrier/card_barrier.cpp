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

}  // namespace

CardBarrier::CardBarrier() : Barrier(BarrierKind::cards, card_traits()) {}

Expected<> CardBarrier::begin(TrackedRange& tracked) {
  auto cards = Cards::create(tracked.units().count);
  if (!cards) return Unexpected(cards.error());
  auto owned = std::make_unique<Cards>(std::move(*cards));
  os::FaultGate::Changing change;
  change.publish(cards_, cards_.with(tracked.range, owned.release()));
  return {};
}

void CardBarrier::end(TrackedRange& tracked) {
  os::FaultGate::Changing change;
  const std::unique_ptr<Cards> cards(&cards_of(tracked));
  change.publish(cards_, cards_.without(tracked.range));
}

CardBarrier::Cards& CardBarrier::cards_of(const TrackedRange& tracked) {
  return *cards_.find_exactly(tracked.range)->value;
}

Expected<CardTable> CardBarrier::table_of(Range range) {
  const os::FaultGate::Operating gate;
  auto* entry = cards_.find_exactly(range);
  if (entry == nullptr)
    return fail(ErrorCode::not_registered, "looking up a card table",
                "it is not a range that was attached", range);
  return CardTable{range.begin, entry->value->data()};
}

void CardBarrier::record(Range written) noexcept {
  const os::FaultGate::Operating gate;
  auto* entry = cards_.find(written.begin);
  if (entry == nullptr) return;
  const CardTable table{entry->range.begin, entry->value->data()};
  const Address card = written.begin.align_down(traits_.granularity);
  for (Address at = card; at < written.end() && entry->range.contains(at);
       at = at + traits_.granularity)
    table.mark(at);
}

Expected<> CardBarrier::arm_units(TrackedRange& tracked, UnitSpan span) {
  std::memset(&cards_of(tracked)[span.first], 0, span.count);
  tracked.armed.set(span);
  return {};
}

// The card is cleared before its memory is read, so a mark that comes later is seen next time.
Expected<> CardBarrier::take_units(TrackedRange& tracked, UnitSpan span, Then then) {
  Cards& cards = cards_of(tracked);
  UnitBits::for_words(span, [&](std::size_t index, std::uint64_t mask) {
    std::uint64_t taken = 0;
    for (std::uint64_t rest = mask & tracked.armed.load(index); rest != 0; rest &= rest - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(rest));
      std::atomic_ref<std::uint8_t> card(cards[index * UnitBits::kWordBits + bit]);
      if (card.load(std::memory_order_relaxed) == 0 || card.exchange(0) == 0) continue;
      taken |= std::uint64_t{1} << bit;
    }
    tracked.taken.set_in(index, taken);
    if (then == Then::leave_unarmed) tracked.armed.clear_in(index, taken);
  });
  return {};
}

}  // namespace weir::barrier
