// Verify mode with a barrier that needs no help: a program that marks cards all the same says where
// it wrote. Every marked card of armed memory must have been reported by the barrier. The world is
// stopped.
#pragma once

#include "runtime/heap/space.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class CardCheck {
 public:
  explicit CardCheck(const heap::Space& space) : space_(space) {}

  // What was reported, in address order for the most part.
  void reported(Range run);
  // A marked card in none of the runs, in a block that is armed; null: there is none.
  Address find_missed();
  // All cards below the frontier are clear from here on.
  static void clear(const heap::Space& space);

 private:
  bool is_reported(Address card) const;

  const heap::Space& space_;
  os::OffHeapVector<Range> runs_;
  bool is_complete_ = true;  // false: no memory for all runs, nothing can be said
};

}  // namespace weir::collector
