// Objects of a granule each, for the tables beside the heap, which want to know of an object only
// whether it is marked; and a marker that gives away what it was told to mark.
//
// That a minor cycle does not look at what is old is shown by old entries that it would do
// something about, if it saw them: their objects are not marked, which no real cycle would bring
// about.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "runtime/collector/marker.hpp"

namespace weir::test {

class TableRig {
 public:
  explicit TableRig(std::size_t objects)
      : space_(*heap::Space::create(
            {.maximum = kMaximum, .reserved = kMaximum, .huge = os::HugePages::never})) {
    while (objects_.size() < objects) {
      const auto block = space_->take_block(true, heap::kGranuleBytes, true);
      REQUIRE(block);
      const Range range = space_->region().range_of(*block);
      for (Address at = range.begin; at < range.end(); at = at + heap::kGranuleBytes)
        objects_.push_back(at);
    }
    objects_.resize(objects);
    begin_cycle();
  }

  const heap::Space& space() const { return *space_; }
  std::size_t size() const { return objects_.size(); }
  Address operator[](std::size_t index) const { return objects_[index]; }

  void begin_cycle() {  // nothing is marked
    for (const Address object : objects_)
      space_->metadata().store(object, heap::MetadataByte::start(heap::TraceClass::leaf));
    space_->begin_marking();
  }
  void mark(Address object) { space_->metadata().mark_once(object, space_->epoch()); }
  bool is_marked(Address object) const { return space_->is_marked(object); }

  collector::Marker& marker() { return marker_; }
  // What was handed to the marker since the last call, sorted.
  std::vector<Address> handed_over() {
    std::vector<Address> handed;
    pool_.restart();
    marker_.flush();
    while (collector::MarkPacket* packet = pool_.take_full(1)) {
      while (packet->count != 0) handed.emplace_back(packet->words[--packet->count]);
      pool_.put_empty(packet);
    }
    std::ranges::sort(handed);
    return handed;
  }

 private:
  static constexpr std::size_t kMaximum = std::size_t{64} << 20;

  std::unique_ptr<heap::Space> space_;
  std::vector<Address> objects_;
  collector::MarkPool pool_;
  collector::WordFormat format_;
  collector::Marker marker_{
      *space_, format_, pool_, collector::Scope::all, collector::Marker::Counting::exact, nullptr};
};

}  // namespace weir::test
