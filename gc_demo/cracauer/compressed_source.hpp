// Fills missing pages by inflating them from the backing file: what a heap image does, in small.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "gc_demo/cracauer/backing_file.hpp"
#include "gc_demo/cracauer/event_log.hpp"
#include "runtime/faults/page_source.hpp"
#include "runtime/os/off_heap.hpp"
#include "runtime/os/shared_lock.hpp"

namespace weir::cracauer {

class CompressedSource final : public faults::PageSource {
 public:
  // `region` is the memory that it fills. File and log outlive it.
  static Expected<std::unique_ptr<CompressedSource>> create(const BackingFile& file,
                                                            image::Codec codec, Range region,
                                                            EventLog& log);

  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override;
  bool is_filled(std::size_t offset) const noexcept override;
  void removed(std::size_t offset, std::size_t bytes) noexcept override;

  std::size_t inflated() const { return inflated_.load(); }  // pages, so far

 private:
  enum class PageState : unsigned char { on_disk, filled, given_back };

  CompressedSource(const BackingFile& file, Range region, EventLog& log)
      : file_(file), region_(region), page_size_(region.size / file.pages()), log_(log) {}
  std::atomic<PageState>& state_of(std::size_t offset) { return states_[offset / page_size_]; }

  const BackingFile& file_;
  const Range region_;
  const std::size_t page_size_;
  EventLog& log_;
  os::OffHeapArray<std::atomic<PageState>> states_;  // zeros: on_disk
  std::atomic<std::size_t> inflated_{0};

  os::SharedLock busy_;  // with SIGBUS several threads may fill; these serve one at a time:
  std::unique_ptr<image::Decoder> decoder_;
  os::OffHeapArray<std::byte> encoded_;
  os::OffHeapArray<std::byte> decoded_;
};

}  // namespace weir::cracauer
