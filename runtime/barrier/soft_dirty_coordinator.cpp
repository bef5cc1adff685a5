#include "runtime/barrier/soft_dirty_coordinator.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "runtime/os/clear_refs.hpp"

namespace weir::barrier {

SoftDirtyCoordinator& SoftDirtyCoordinator::the() {
  static auto* const only = new SoftDirtyCoordinator;  // immortal, as fork participants are
  return *only;
}

Expected<> SoftDirtyCoordinator::reopen() {
  os::FaultGate::Changing change;
  change.commit();
  return open_files();
}

// The gate held exclusively.
Expected<> SoftDirtyCoordinator::open_files() {
  close_files();  // first: new files may get the numbers of those that somebody closed
  auto pagemap = os::Pagemap::open();
  if (!pagemap) return Unexpected(pagemap.error());
  auto clear_refs = os::open_clear_refs();
  if (!clear_refs) return Unexpected(clear_refs.error());
  pagemap_ = std::move(*pagemap);
  clear_refs_ = std::move(*clear_refs);
  return {};
}

void SoftDirtyCoordinator::close_files() {
  pagemap_ = os::Pagemap();
  clear_refs_ = MemoryFd();
}

Expected<> SoftDirtyCoordinator::add(TrackedRange& tracked) {
  os::FaultGate::Changing change;
  if (ranges_.overlaps(tracked.range))
    return fail(ErrorCode::busy, "attaching memory to a barrier",
                "another soft-dirty barrier watches it already", tracked.range);
  auto populated = UnitBits::create(tracked.units().count);
  if (!populated) return Unexpected(populated.error());
  auto watched = std::make_unique<Watched>(Watched{tracked, std::move(*populated)});
  auto next = ranges_.with(tracked.range, watched.get());
  change.commit();
  if (ranges_.empty())
    if (auto opened = open_files(); !opened) return opened;
  ranges_.swap(next);
  change.end_commit();
  (void)watched.release();
  return {};
}

void SoftDirtyCoordinator::remove(TrackedRange& tracked) {
  std::unique_ptr<Watched> watched;  // freed after the gate is open again
  os::FaultGate::Changing change;
  auto* entry = ranges_.find_exactly(tracked.range);
  if (entry == nullptr) return;
  watched.reset(entry->value);
  auto next = ranges_.without(tracked.range);
  change.commit();
  ranges_.swap(next);
  if (ranges_.empty()) close_files();
  change.end_commit();
}

Expected<> SoftDirtyCoordinator::harvest() {
  const std::lock_guard guard(lock_);
  for (auto& entry : ranges_)
    if (auto done = harvest(*entry.value); !done) return done;
  return os::clear_soft_dirty(clear_refs_);
}

Expected<> SoftDirtyCoordinator::harvest(Watched& watched) {
  TrackedRange& tracked = watched.tracked;
  const std::size_t units = tracked.ever_armed().count;
  for (std::size_t first = 0; first < units; first += entries_.size()) {
    const std::size_t count = std::min(entries_.size(), units - first);
    if (tracked.armed.count({first, count}) == 0) continue;
    const std::span<std::uint64_t> entries(entries_.data(), count);
    auto read = pagemap_.read_entries(tracked.range_of({first, count}).begin, entries);
    if (!read) return read;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t unit = first + i;
      const bool populated = (entries[i] & (os::kEntryPresent | os::kEntrySwapped)) != 0;
      const bool released = !populated && watched.populated.test(unit);
      if ((entries[i] & os::kEntrySoftDirty) != 0 || released) tracked.dirty.set(unit);
      if (released)
        watched.populated.clear({unit, 1});
      else if (populated)
        watched.populated.set(unit);
    }
  }
  return {};
}

void SoftDirtyCoordinator::after_fork_in_child() noexcept {
  for (auto& entry : ranges_) {
    TrackedRange& tracked = entry.value->tracked;
    tracked.dirty.set(tracked.ever_armed());
  }
  // The files were the parent's, and are closed by now. Where /proc is gone, each take says so.
  if (!ranges_.empty()) (void)open_files();
}

}  // namespace weir::barrier
