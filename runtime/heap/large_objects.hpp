// Objects above 8 KiB: each has whole units (pages) of its own in blocks that hold nothing else. A
// record for each, found from any address inside by a table of owners. Their start bytes are in the
// metadata like those of all objects. Under the heap's lock; find() also with the world stopped.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/heap/blocks.hpp"
#include "runtime/heap/kinds.hpp"
#include "runtime/heap/unit_holes.hpp"
#include "runtime/os/function_ref.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::heap {

struct LargeObject {
  Range range;  // whole granules; empty: the record is unused
  KindTag kind;
  std::uint32_t next_unused = 0;
  bool armed = false;      // its pages are
  bool is_listed = false;  // among the young ones; also when the record is unused
  std::size_t units = 0;
};

class LargeObjects {
 public:
  // Both outlive it.
  static Expected<LargeObjects> create(Region& region, Blocks& blocks);

  struct Place {
    Address begin;
    bool is_zeroed = false;
    Range armed;  // what of it has to be disarmed first; empty: nothing
  };
  // Not marked. Unless it is zeroed, the caller does that, before a collection can look at it.
  // `alignment` is a power of two up to 2 MiB. Errors: out_of_memory.
  Expected<Place> allocate(std::size_t bytes, std::size_t alignment, KindTag kind);
  // The object that lies at `address` (its own bytes or the rest of its last unit); nullptr: none.
  const LargeObject* find(Address address) const;
  void free_early(Address start) { free(records_[region_->unit_owner(start) - 1]); }
  // Frees what is not marked in `epoch`, of all objects or of those allocated since the last sweep;
  // bytes. Calls `survived` for those that are not armed and may refer to others.
  using Survived = os::FunctionRef<void(LargeObject&)>;
  std::size_t sweep(unsigned epoch, Survived survived);
  std::size_t sweep_young(unsigned epoch, Survived survived);
  void for_each(os::FunctionRef<void(const LargeObject&)> visit) const;
  std::size_t bytes() const { return bytes_; }  // of all objects

 private:
  Expected<Place> find_place(std::size_t units, std::size_t alignment);
  Expected<std::uint32_t> new_record();
  void occupy(Address begin, std::size_t units, std::uint32_t owner);
  void free(LargeObject& object);
  std::size_t judge(LargeObject& object, unsigned epoch, Survived survived);

  Region* region_ = nullptr;
  Blocks* blocks_ = nullptr;
  UnitHoles holes_;
  os::OffHeapVector<LargeObject> records_;  // a unit's owner is an index + 1
  std::uint32_t first_unused_ = 0;          // index + 1; 0: none
  os::OffHeapVector<std::uint32_t> young_;  // indices: allocated since the last sweep
  std::size_t bytes_ = 0;
};

}  // namespace weir::heap
