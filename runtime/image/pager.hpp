// Brings the clusters of an image into memory, each as a whole, when one of its pages is missed.
//
//   lazy --claimed--> filling --> filled
//            ^           |------> damaged      its pages are poisoned
//            |           v
//            '--------- partly                 the address space is changing: it is asked for again
//
// Several clusters are filled at once, each with a decoder and buffers of its own; whoever wants
// one that is being filled waits for it. A cluster whose first bytes belong to an object that began
// in another brings that one, too: what is needed to trace a page is there whenever the page is.
//
// fill() is the fault path; the rest from any thread.
#pragma once

#include <atomic>
#include <memory>

#include "runtime/faults/page_source.hpp"
#include "runtime/heap/metadata.hpp"
#include "runtime/image/cluster_reader.hpp"
#include "runtime/os/off_heap.hpp"

namespace weir::image {

enum class ClusterState : std::uint32_t { lazy, filling, filled, damaged };

struct PagerCounters {
  std::size_t filled = 0;   // clusters, those without objects included
  std::size_t damaged = 0;  // clusters
  std::size_t read_bytes = 0;
};

class Pager {
 public:
  // The file outlives it. `at_once`: how many clusters are filled at the same time at most.
  static Expected<std::unique_ptr<Pager>> create(const ImageFile& file, Conversion conversion,
                                                 unsigned at_once);

  // The cluster lies at `offset` of what the filler serves; `metadata` is that of its first
  // granule. `missed`: the page that somebody waits for, within the cluster.
  struct Target {
    std::size_t cluster;
    std::size_t offset;
    std::uint8_t* metadata;
    std::size_t missed;
  };
  UffdOutcome fill(const Target& target, faults::PageFiller& filler) noexcept;

  // The pages are zeros from now on, whatever the file says.
  void removed(std::size_t cluster, std::size_t offset, std::size_t bytes) noexcept;
  bool has_removed(std::size_t cluster) const noexcept;  // one of its pages
  bool is_there(std::size_t cluster, std::size_t offset) const noexcept;

  ClusterState state(std::size_t cluster) const { return state_of(states_[cluster].load()); }
  // The same, once nobody is filling it any more.
  ClusterState settled_state(std::size_t cluster) const noexcept;
  PagerCounters counters() const;
  // While it lives, what this thread fills is not what somebody touched.
  struct Ahead {
    Ahead();
    ~Ahead();
    Ahead(const Ahead&) = delete;
    Ahead& operator=(const Ahead&) = delete;
  };
  // Those that were touched, in that order; the last ones perhaps not yet.
  std::span<const std::atomic<std::uint32_t>> order() const;

 private:
  static constexpr std::uint32_t kLazy = 0, kFilling = 1, kFilled = 2, kDamaged = 3, kPartly = 4;
  // Some pages of a cluster that is partly there may have been written: it counts as filled.
  static constexpr ClusterState state_of(std::uint32_t state) {
    return state == kPartly ? ClusterState::filled : static_cast<ClusterState>(state);
  }
  // What was given back by the program: zeros when next touched, and then there again.
  static constexpr std::uint8_t kInImage = 0, kGone = 1, kZeros = 2;

  struct Workplace {
    std::atomic<std::uint32_t> busy{0};
    ClusterReader reader;
  };
  class Desk;

  Pager(const ImageFile& file, Conversion conversion)
      : file_(file), size_(file.cluster_size()), conversion_(std::move(conversion)) {}
  Expected<> set_up(unsigned at_once);
  void settle(std::size_t cluster, std::uint32_t state) noexcept;
  UffdOutcome fill_claimed(const Target& target, faults::PageFiller& filler,
                           std::uint32_t before) noexcept;
  void put_metadata(const Target& target, const Cluster& from, const ClusterEntry& entry) noexcept;
  UffdOutcome put(const Target& target, const std::byte* objects,
                  faults::PageFiller& filler) noexcept;
  UffdOutcome give_up(const Target& target, faults::PageFiller& filler) noexcept;
  void record(std::size_t cluster) noexcept;
  void tell_damaged(std::size_t cluster) noexcept;
  std::atomic<std::uint8_t>& page(std::size_t cluster, std::size_t offset);
  const std::atomic<std::uint8_t>& page(std::size_t cluster, std::size_t offset) const;

  const ImageFile& file_;
  const ClusterSize size_;
  const Conversion conversion_;
  os::OffHeapArray<std::atomic<std::uint32_t>> states_;
  os::OffHeapArray<std::atomic<std::uint8_t>> pages_;  // kInImage, ...
  os::OffHeapArray<std::atomic<std::uint32_t>> order_;
  std::atomic<std::size_t> ordered_{0};
  std::unique_ptr<Workplace[]> workplaces_;
  unsigned workplace_count_ = 0;
  std::atomic<std::uint32_t> left_{0};  // how often a workplace became free
  std::atomic<std::size_t> filled_{0};
  std::atomic<std::size_t> damaged_{0};
  std::atomic<std::size_t> read_bytes_{0};
};

}  // namespace weir::image
