// Arenas in the classical set-up (WEIR_ARENA=missing-wp): no page is there until somebody touches
// it; then its whole neighbourhood comes, as zeros, by large COPY calls. For comparison with fresh
// arenas, which the kernel populates by itself, and for memory whose pages can be taken away.
#pragma once

#include <atomic>
#include <memory>

#include "runtime/faults/page_source.hpp"
#include "runtime/heap/units.hpp"
#include "runtime/os/off_heap.hpp"

namespace weir::heap {

class ZeroSource final : public faults::PageSource {
 public:
  // For `bytes` of whole arenas. Errors: out_of_memory.
  static Expected<std::unique_ptr<ZeroSource>> create(std::size_t bytes);

  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override;
  bool is_filled(std::size_t offset) const noexcept override;
  // Whole blocks. Also for whoever gives memory back himself, right before he does: not all
  // deliveries have an event for it.
  void removed(std::size_t offset, std::size_t bytes) noexcept override;

 private:
  static constexpr std::size_t kAtOnce = 4 * kBlockBytes;
  using Filled = os::OffHeapArray<std::atomic<bool>>;

  explicit ZeroSource(Filled filled) : filled_(std::move(filled)) {}
  void set(std::size_t offset, std::size_t bytes, bool filled);

  Filled filled_;  // by block
};

}  // namespace weir::heap
