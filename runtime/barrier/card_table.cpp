#include "runtime/barrier/card_table.hpp"

#include <cstring>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {

Expected<> CardTable::commit(Range range) const {
  const Address first = Address(card_of(range.begin)).align_down(os::page_size());
  const Address last = Address(card_of(range.end() - 1) + 1).align_up(os::page_size());
  return os::commit(Range::between(first, last), os::HugePages::never);
}

void CardTable::discard(Range range) const {
  const Range bytes = Range::of(card_of(range.begin), range.size >> kCardShift);
  const Address first = bytes.begin.align_up(os::page_size());
  const Address last = bytes.end().align_down(os::page_size());
  if (first >= last) {
    std::memset(bytes.begin.as(), 0, bytes.size);
    return;
  }
  std::memset(bytes.begin.as(), 0, first - bytes.begin);
  std::memset(last.as(), 0, bytes.end() - last);
  os::discard(Range::between(first, last));
}

}  // namespace weir::barrier
