#include "runtime/heap/remembered_set.hpp"

#include "runtime/os/last_words.hpp"

namespace weir::heap {

Expected<std::unique_ptr<RememberedSet>> RememberedSet::create(const Region& region,
                                                               barrier::Barrier& barrier,
                                                               bool may_measure) {
  auto table =
      os::OffHeapArray<std::uint8_t>::create(region.range().size / barrier.traits().granularity);
  if (!table) return Unexpected(table.error());
  if (auto attached = barrier.attach(region.range()); !attached)
    return Unexpected(attached.error());
  return std::unique_ptr<RememberedSet>(
      new RememberedSet(region, barrier, std::move(*table), may_measure));
}

RememberedSet::RememberedSet(const Region& region, barrier::Barrier& barrier,
                             os::OffHeapArray<std::uint8_t> table, bool may_measure)
    : region_(region),
      barrier_(barrier),
      unit_bytes_(barrier.traits().granularity),
      may_measure_(may_measure),
      table_(std::move(table)),
      meter_(barrier::starting_costs(barrier.kind())),
      policy_(table_.span(), meter_.costs()) {}

RememberedSet::~RememberedSet() {
  (void)barrier_.detach(region_.range());
}

void RememberedSet::arm(Range pages) {
  if (auto done = barrier_.arm(pages); !done) os::last_words("arming old memory failed");
}

void RememberedSet::disarm(Range pages) {
  if (auto done = barrier_.disarm(pages); !done) os::last_words("disarming memory failed");
  policy_.forget(unit_of(pages.begin), pages.size / unit_bytes_);
}

void RememberedSet::take(std::size_t frontier, Scan scan) {
  policy_.begin_cycle(meter_.costs());
  forget_disarmed();
  runs_.clear();
  for (const std::size_t unit : hot_)
    if (!runs_.push_back(range_of(unit))) os::last_words("no memory for the list of hot pages");
  const std::size_t hot = hot_.size();
  walk(frontier);
  found_young_.clear();
  for (std::size_t i = 0; i < runs_.size(); ++i)
    if (!found_young_.push_back(0)) os::last_words("no memory for what was found in old memory");
  const std::uint64_t cpu_ns =
      scan({runs_.begin(), runs_.end()}, {found_young_.begin(), found_young_.end()});
  if (may_measure_)
    meter_.observe_scans(static_cast<double>(cpu_ns), hot + dirty_bytes_ / unit_bytes_);
  judge_hot({found_young_.begin(), hot});
}

void RememberedSet::reset(std::size_t frontier) {
  policy_.begin_cycle(meter_.costs());
  forget_disarmed();
  runs_.clear();
  walk(frontier);
}

void RememberedSet::forget_disarmed() {
  std::size_t kept = 0;
  for (const std::size_t unit : hot_)
    if (policy_.is_hot({unit})) hot_[kept++] = unit;
  hot_.truncate(kept);
}

// Of the hot units those that were scanned, the first ones; the walk may have found more.
void RememberedSet::judge_hot(std::span<const std::uint8_t> found_young) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < hot_.size(); ++i) {
    const std::size_t unit = hot_[i];
    if (!policy_.is_hot({unit})) continue;  // was in the list twice
    if (i >= found_young.size() ||
        policy_.after_hot_scan({unit}, found_young[i] != 0) == barrier::PageVerdict::keep_hot)
      hot_[kept++] = unit;
    else if (auto done = barrier_.arm(range_of(unit)); !done)
      os::last_words("arming memory again failed");
  }
  hot_.truncate(kept);
}

// In pieces that several threads can share.
void RememberedSet::add_dirty(Range run) {
  dirty_bytes_ += run.size;
  for (Address at = run.begin; at < run.end();) {
    const Range piece = Range::between(at, std::min((at + 1).align_up(kBlockBytes), run.end()));
    if (!runs_.push_back(piece)) os::last_words("no memory for the list of dirty pages");
    at = piece.end();
  }
}

void RememberedSet::judge(Range run) {
  const std::size_t first = unit_of(run.begin).value;
  for (std::size_t unit = first; unit < first + run.size / unit_bytes_; ++unit)
    if (policy_.after_dirty_scan({unit}) == barrier::PageVerdict::keep_hot && !hot_.push_back(unit))
      os::last_words("no memory for the list of hot pages");
}

// One walk over neighbouring arenas that have armed blocks. A walk costs 2 to 3 ns for a page that
// is clean; one for each run of armed blocks would cost two system calls for each.
void RememberedSet::walk(std::size_t frontier) {
  const std::uint64_t cpu_before = may_measure_ ? observe::thread_cpu_ns() : 0;
  dirty_bytes_ = 0;
  std::size_t walked_bytes = 0;
  const std::size_t hot_before = hot_.size();
  const auto sink = [&](Range run) {
    judge(run);
    add_dirty(run);
  };
  const auto is_armed = [&](std::size_t block) { return region_.block(BlockIndex(block)).armed; };
  for (std::size_t block = 0; block < frontier;) {
    if (!is_armed(block)) {
      ++block;
      continue;
    }
    // As long as the gaps are short.
    std::size_t end = block + 1;
    for (std::size_t at = end; at < frontier && at - end < kArenaBlocks; ++at) {
      if (!is_armed(at)) continue;
      end = at + 1;
    }
    const Range part = Range::between(region_.range_of(BlockIndex(block)).begin,
                                      region_.range_of(BlockIndex(end - 1)).end());
    if (!barrier_.take(part, sink, barrier::Then::rearm))
      os::last_words("taking written memory failed");
    walked_bytes += part.size;
    block = end;
  }
  disarm_new_hot(hot_before);
  if (may_measure_) add_walk(walked_bytes / unit_bytes_, observe::thread_cpu_ns() - cpu_before);
}

void RememberedSet::add_walk(std::size_t pages, std::uint64_t cpu_ns) {
  constexpr double kForgets = 1.01;  // a walk: page tables change their shape
  if (pages != 0) {
    const double page_ns = static_cast<double>(cpu_ns) / static_cast<double>(pages);
    clean_page_ns_ = clean_page_ns_ == 0 ? page_ns : std::min(page_ns, clean_page_ns_ * kForgets);
  }
  clean_walk_ns_ = clean_page_ns_ * static_cast<double>(pages);
}

void RememberedSet::disarm_new_hot(std::size_t first) {
  for (std::size_t i = first; i < hot_.size();) {
    std::size_t end = i + 1;
    while (end < hot_.size() && hot_[end] == hot_[end - 1] + 1) ++end;
    const Range run = Range::between(range_of(hot_[i]).begin, range_of(hot_[end - 1]).end());
    if (!barrier_.disarm(run)) os::last_words("disarming hot memory failed");
    i = end;
  }
}

RememberedCounters RememberedSet::counters() const {
  const barrier::ArmingCounters policy = policy_.counters();
  return {.dirty_bytes = dirty_bytes_,
          .hot_bytes = hot_.size() * unit_bytes_,
          .went_hot = policy.went_hot,
          .rearmed = policy.rearmed_quiet};
}

}  // namespace weir::heap
