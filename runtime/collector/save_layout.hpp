// What goes where in the file of a save: ranges of clusters, what its words refer to outside of
// them, and numbers of kinds.
//
// Clusters of an open image can be copied as they are only where the file means the same by all
// that they may hold: so the first image keeps its saved addresses, its kinds' numbers and its
// outside ranges, and each further one does where that contradicts none before it. Those of the
// others are made anew.
//
// Made before the world is stopped, but for the region's part; read by all that save.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/collector/images.hpp"
#include "runtime/image/modules.hpp"

namespace weir::collector {

class SaveLayout {
 public:
  // A range of clusters of the file that is to be.
  struct Part {
    Range range;                        // here
    Address saved;                      // in the file
    const weir_image* image = nullptr;  // nullptr: of the region
    std::size_t image_segment = 0;
    bool is_copied = false;  // as far as it is unmodified
    std::size_t first_cluster = 0;
  };

  explicit SaveLayout(Heap& heap) : heap_(heap) {}
  // `size`: images with clusters of another one are made anew. `modules`: slots that point into
  // these are translated. `compact`: objects of the region and of images get new places, all in one
  // part.
  Expected<> prepare(image::ClusterSize size, const std::vector<image::NamedRange>& names,
                     bool modules, bool compact);
  image::ClusterSize cluster_size() const { return cluster_size_; }
  // The world is stopped: the part of the region that has anything to be saved, perhaps empty.
  void add_region(Range range);
  Address compact_begin() const { return region_saved_; }
  void add_compact(std::size_t bytes);
  std::size_t number_clusters();

  // What the file calls an address; nothing: it leads to what is not translated. Error unsupported:
  // it cannot be called anything.
  Expected<std::optional<Address>> to_saved(Address address);
  // The same for most addresses: nothing where it is not in the region, or all is compact.
  std::optional<Address> in_region(Address address) const {
    if (!region_.contains(address)) return std::nullopt;
    return region_saved_ + (address - region_.begin);
  }
  const std::vector<Part>& parts() const { return parts_; }  // by saved address
  const Part& part_of(std::size_t cluster) const;
  bool is_in_place() const;  // everything is called what it is
  std::uint8_t number_of(std::uint8_t kind) const { return number_of_[kind]; }
  // All kinds of the heap, and what words of the file may refer to outside.
  const std::vector<image::SavedKind>& kinds() const { return kinds_; }
  std::vector<image::Outside> used_outside() const;

 private:
  struct Outside {
    image::Outside saved;
    Range here;
    bool is_kept;  // clusters that are copied may refer to it
  };
  void place_images();
  void place_image(const weir_image& image, bool is_copied);
  bool may_be_copied(const weir_image& image) const;
  Expected<> number_kinds();
  Expected<> place_outside(const std::vector<image::NamedRange>& names, bool modules);
  // One that has its place in the file already, or gets one.
  Expected<> add_outside(image::Outside outside, Range here);
  const Outside* find_outside(const image::Outside& outside) const;
  void keep_outside(const image::Image& image);
  Address free_place(std::size_t bytes, Address wanted) const;
  void place_region(bool compact);

  Heap& heap_;
  image::ClusterSize cluster_size_;
  // Numbers of kinds in the file, by those of the heap.
  std::array<std::uint8_t, heap::Kinds::kMaxKinds + 1> number_of_{};
  std::vector<image::SavedKind> kinds_;
  std::vector<Outside> outside_;
  std::unique_ptr<std::atomic<bool>[]> is_used_;  // of outside_
  std::vector<Range> without_id_;                 // modules that nothing can be relative to
  Range region_;                                  // empty: compact
  Address region_saved_;                          // once it has its place
  std::size_t region_saved_bytes_ = 0;
  image::Translation to_saved_;
  std::vector<Part> parts_;
};

}  // namespace weir::collector
