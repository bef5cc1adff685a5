// What a compact save keeps, and where: the objects that its roots reach, those of images included,
// one behind the other in the order of their addresses. None that fits into a cluster, or into a
// block, lies in two.
//
//   trace()   marks, with a table of 4 bytes for each granule of the heap and of its images
//   place()   the table becomes one of new places
//
// The world is stopped. One thread; looking up afterwards: any.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "runtime/collector/tracer.hpp"
#include "runtime/image/image.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class Heap;

class Compaction {
 public:
  Compaction(Heap& heap, image::ClusterSize size);  // before the world is stopped

  // Errors: unsupported, where something may not be moved; invalid_argument, where an image is
  // damaged; out_of_memory.
  Expected<> trace(std::span<const std::pair<std::string, Address>> roots);
  // From `saved` on, the first byte of a block.
  Expected<> place(Address saved);

  std::size_t bytes() const { return first_in_.size() * cluster_size_.bytes(); }
  // Those of which something lies in a cluster, in order. `placed`: where the object begins in the
  // file.
  using Visit = os::FunctionRef<void(const heap::Found& object, Address placed)>;
  void for_each_in(std::size_t cluster, Visit visit) const;
  // Of an address in the heap or in an image; nothing: what it leads to is not kept.
  std::optional<Address> to_saved(Address address) const;
  bool contains(Address address) const { return area_of(address) != nullptr; }

 private:
  class Marker;
  // Places are granules of the file from 1 on; 0: not kept.
  static constexpr std::uint32_t kMarked = ~std::uint32_t{0};
  struct Area {
    Range range;
    image::Image* image;  // nullptr: the region's
    os::OffHeapArray<std::uint32_t> places;

    std::uint32_t& place(Address a) { return places[(a - range.begin) / heap::kGranuleBytes]; }
    std::uint32_t place(Address a) const { return places[(a - range.begin) / heap::kGranuleBytes]; }
    Address next_kept(Address from) const;  // range.end(): none
  };
  const Area* area_of(Address address) const;
  Area* area_of(Address address) {
    return const_cast<Area*>(static_cast<const Compaction*>(this)->area_of(address));
  }
  std::optional<heap::Found> find(const Area& area, Address address) const;
  heap::Found describe(const Area& area, Address start) const;

  Heap& heap_;
  const image::ClusterSize cluster_size_;
  std::vector<Area> areas_;  // by address
  Address saved_;
  os::OffHeapVector<Address> first_in_;  // by cluster: the first object that lies in it
};

}  // namespace weir::collector
