#include "benchmarks/marks.hpp"

#include "runtime/barrier/card_barrier.hpp"

namespace weir::bench {

Expected<Marks> marks_of(barrier::Barrier& barrier, Range attached) {
  auto* cards = dynamic_cast<barrier::CardBarrier*>(&barrier);
  if (cards == nullptr) return Marks{};
  return cards->table_of(attached).map([](const barrier::CardTable& table) {
    return Marks{table.cards, barrier::kCardShift};
  });
}

}  // namespace weir::bench
