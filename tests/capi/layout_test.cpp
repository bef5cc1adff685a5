// The layout that docs/embedding.md promises to compilers which emit the fast paths themselves.
#include <doctest/doctest.h>
#include <weir/weir.h>

#include <cstddef>

#include "runtime/barrier/card_table.hpp"

TEST_CASE("a mutator's fields are where the documentation says") {
  if (sizeof(void*) != 8) return;
  CHECK(offsetof(weir_mutator, spans) == 0);
  CHECK(offsetof(weir_mutator, spans[0].limit) == 8);
  CHECK(offsetof(weir_mutator, spans[1].bump) == 16);
  CHECK(offsetof(weir_mutator, spans[1].limit) == 24);
  CHECK(offsetof(weir_mutator, metadata) == 32);
  CHECK(offsetof(weir_mutator, poll) == 40);
  CHECK(sizeof(weir_mutator::poll) == 4);
  CHECK(offsetof(weir_mutator, frames) == 48);
  CHECK(offsetof(weir_mutator, cards) == 56);
  CHECK(WEIR_CARD_SHIFT == weir::barrier::kCardShift);
}
