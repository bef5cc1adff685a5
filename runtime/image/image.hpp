// An image that is open in a heap: its segments in the address space, filled when they are touched,
// and what is known of the objects in them. Its objects live as long as it does.
//
// The segments lie outside of the heap's region, so that the collector passes over references to
// them as it does over any that lead out of the heap; docs/image.md says why. Looking things up:
// any thread. Everything about written pages: the collecting thread, the world stopped.
#pragma once

#include <weir/weir.h>

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "runtime/barrier/barrier.hpp"
#include "runtime/faults/fault_server.hpp"
#include "runtime/heap/space.hpp"
#include "runtime/image/pager.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::image {

// What the embedder calls by a name, because its address is another one in each process.
struct NamedRange {
  std::string name;
  Range range;
};

class Image {
 public:
  struct Options {
    SlotFormat format;
    std::uintptr_t conservative_mask = ~std::uintptr_t{0};
    std::span<const NamedRange> names;
    unsigned at_once = 1;                   // clusters that are filled at the same time
    faults::FaultServer* server = nullptr;  // outlives it, as does the next
    barrier::Barrier* barrier = nullptr;    // nullptr: nobody watches, all that is there is scanned
  };
  // Nothing of its clusters is read. Errors: invalid_argument (kinds, names or modules that it
  // needs are missing, or differ), busy (its own address is taken, and it can be nowhere else).
  static Expected<std::unique_ptr<Image>> open(ImageFile file, const heap::Kinds& kinds,
                                               const Options& options);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  struct Segment;
  const ImageFile& file() const { return file_; }
  std::span<const std::unique_ptr<Segment>> segments() const { return segments_; }
  const Segment* segment_of(Address address) const;
  bool contains(Address address) const { return segment_of(address) != nullptr; }
  Range range_of(std::size_t cluster) const;
  bool is_at_saved_address() const;
  // Null: it has no such root, or the root was null.
  Address root(std::string_view name) const;
  bool has_root(std::string_view name) const;
  // What it refers to outside of it, and where that is here.
  struct Referred {
    const Outside* outside;
    Range here;
  };
  std::span<const Referred> referred() const { return referred_; }
  std::uint64_t identity_of(Address address) const;
  const Conversion& conversion() const { return conversion_; }
  Pager& pager() const { return *pager_; }

  // Brings in what is missing of a part of a segment. Error invalid_argument: some of it is
  // damaged.
  Expected<> bring_in(Range part);
  // The object at an address, brought in for it if need be.
  std::optional<heap::Found> look_up(Address address);
  // The same among what is there. Its range ends early where what comes behind the address is not
  // there; what comes before may not be there, either.
  std::optional<heap::Found> find(Address address) const;
  bool is_filled(Address address) const;
  // Whether no object lies on a part of a segment, without any of it being there.
  bool is_absent(Range part) const;

  // Objects on `part`, which is in one segment; what is not filled is passed over. `traced` is what
  // of the object lies on it.
  using Visit = os::FunctionRef<void(const heap::Found& object, Range traced)>;
  void for_each_object_on(Range part, Visit visit) const;

 private:
  class Source;
  Image(ImageFile file, const Options& options) : file_(std::move(file)), options_(options) {}
  Expected<> match_kinds(const heap::Kinds& kinds);
  Expected<> match_outside();
  void refer_to(const Outside& outside, Address here);
  Expected<> place();
  Expected<> reserve(bool at_saved_address);
  Expected<> serve();
  Address end_of_object(const Segment& segment, Address start, Address reached) const;
  heap::Found describe(const Segment& segment, Address start, Address reached) const;

  ImageFile file_;
  const Options options_;
  Conversion conversion_;
  std::vector<Referred> referred_;
  std::vector<std::unique_ptr<Segment>> segments_;  // by saved address
  std::unique_ptr<Pager> pager_;
};

struct Image::Segment {
  Range range;
  Range saved;
  std::uint64_t identity = 0;
  ClusterSize cluster_size;
  std::size_t first_cluster = 0;
  os::Mapping memory;
  os::OffHeapArray<std::uint8_t> table;
  heap::Metadata metadata;
  std::unique_ptr<faults::PageSource> source;
  bool is_served = false;
  bool is_watched = false;

  std::size_t clusters() const { return range.size / cluster_size.bytes(); }
  std::size_t cluster_of(Address address) const {  // within the image
    return first_cluster + (address - range.begin) / cluster_size.bytes();
  }
  Range cluster(std::size_t index) const {  // within the segment
    return {range.begin + index * cluster_size.bytes(), cluster_size.bytes()};
  }
};

}  // namespace weir::image
