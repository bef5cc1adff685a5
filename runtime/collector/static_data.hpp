// The writable data of the program and of all libraries that are loaded, as the dynamic loader has
// them. Listing takes the loader's lock, which a thread that a signal stopped may hold: so it is
// done before the world is stopped, and compared afterwards, without a lock, with the list that the
// loader keeps for debuggers. What differs was loaded, or unloaded, in between.
//
// A library is in that list before any of its code has run, so nothing can be in its data that the
// comparison does not see.
#pragma once

#include <cstdint>
#include <weir/address.hpp>

#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class StaticData {
 public:
  // The world runs.
  void list();
  // The world is stopped: whether it is still as it was listed.
  bool is_current() const;
  void clear() { segments_.clear(), loaded_ = 0; }

  const Range* begin() const { return segments_.begin(); }
  const Range* end() const { return segments_.end(); }

 private:
  static std::uint64_t loaded_now();

  os::OffHeapVector<Range> segments_;
  std::uint64_t loaded_ = 0;  // a hash of what was loaded then; 0: not listed
};

}  // namespace weir::collector
