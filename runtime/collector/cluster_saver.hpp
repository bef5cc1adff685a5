// Makes clusters of a heap's memory: one worker of a save. Objects that are marked, their metadata,
// and which of their words are addresses; those are written as the file has them. Nothing here uses
// malloc, since the world may be stopped by signals.
#pragma once

#include <array>
#include <memory>

#include "runtime/collector/compaction.hpp"
#include "runtime/collector/save_layout.hpp"
#include "runtime/collector/tracer.hpp"
#include "runtime/image/cluster.hpp"
#include "runtime/image/cluster_index.hpp"

namespace weir::collector {

class Saving;

class ClusterSaver final : public Tracer<ClusterSaver> {
 public:
  static Expected<std::unique_ptr<ClusterSaver>> create(Saving& saving, image::Codec codec);

  // Each fills in the cluster's entry, and appends it to the file unless it is absent.
  void save_region_cluster(Range range, image::ClusterEntry& entry);
  void save_compacted(const Compaction& compaction, std::size_t cluster,
                      image::ClusterEntry& entry);
  void save_image_cluster(const SaveLayout::Part& part, Range range, image::ClusterEntry& entry);

  void edge(Address slot, Address target);
  // Words that may or may not be addresses cannot be translated.
  void visit_words(Range words) override;

  struct Count {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
  };
  // By the heap's numbers, built-in kinds by their trace class.
  std::array<Count, heap::Kinds::kMaxKinds + 1> defined{};
  std::array<Count, 6> built_in{};

 private:
  ClusterSaver(Saving& saving, image::Codec codec);
  Expected<> set_up();
  void begin(Range range);
  void add(const heap::Found& object, Address placed, image::ClusterEntry& entry);
  void add_and_count(const heap::Found& object, Address placed, image::ClusterEntry& entry);
  void trace(const heap::Found& object, Address placed, Range part);
  void end(image::ClusterEntry& entry);
  void copy(const weir_image& from, std::size_t cluster, image::ClusterEntry& entry);
  void fail_damaged();
  std::uint8_t* metadata_of(Address a) const;
  image::Cluster cluster() { return {std::as_writable_bytes(payload_.span()), cluster_size_}; }

  Saving& saving_;
  const image::ClusterSize cluster_size_;
  const image::Codec codec_;
  Range range_;                      // of the cluster at hand, where its objects are placed
  bool is_empty_ = true;             // nothing has been added to it
  std::uintptr_t displacement_ = 0;  // of the object at hand, from where it lies to its place
  std::unique_ptr<image::Encoder> encoder_;
  os::OffHeapArray<std::uint64_t> payload_;
  os::OffHeapArray<std::byte> encoded_;
};

}  // namespace weir::collector
