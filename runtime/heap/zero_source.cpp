#include "runtime/heap/zero_source.hpp"

namespace weir::heap {

Expected<std::unique_ptr<ZeroSource>> ZeroSource::create(std::size_t bytes) {
  auto filled = Filled::create(bytes / kBlockBytes);
  if (!filled) return Unexpected(filled.error());
  return std::unique_ptr<ZeroSource>(new ZeroSource(std::move(*filled)));
}

// From here on: the fault path [quiet-server].

UffdOutcome ZeroSource::fill(std::size_t offset, faults::PageFiller& filler) noexcept {
  const std::size_t first = offset & ~(kAtOnce - 1);
  const UffdOutcome outcome = filler.zero(first, kAtOnce);
  if (outcome == UffdOutcome::done) set(first, kAtOnce, true);
  return outcome;
}

bool ZeroSource::is_filled(std::size_t offset) const noexcept {
  return filled_[offset / kBlockBytes].load();
}

void ZeroSource::removed(std::size_t offset, std::size_t bytes) noexcept {
  set(offset, bytes, false);
}

void ZeroSource::set(std::size_t offset, std::size_t bytes, bool filled) {
  for (std::size_t block = offset / kBlockBytes; block * kBlockBytes < offset + bytes; ++block)
    filled_[block].store(filled);
}

}  // namespace weir::heap
