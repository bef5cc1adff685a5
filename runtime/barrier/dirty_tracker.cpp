#include <algorithm>
#include <mutex>
#include <weir/dirty_tracker.hpp>

#include "runtime/barrier/selection.hpp"

namespace weir {

struct DirtyTracker::State {
  barrier::Selection selection;
  std::mutex lock;  // over `watched`, and one call at a time
  std::vector<Range> watched;
};

DirtyTracker::DirtyTracker(std::unique_ptr<State> state) : state_(std::move(state)) {}
DirtyTracker::DirtyTracker(DirtyTracker&&) noexcept = default;
DirtyTracker& DirtyTracker::operator=(DirtyTracker&&) noexcept = default;
DirtyTracker::~DirtyTracker() = default;

Expected<DirtyTracker> DirtyTracker::create(const Options& options) {
  barrier::BarrierOptions wanted;
  wanted.kind = options.barrier;
  wanted.accept_efault = options.accept_efault;
  wanted.writers_are_stopped = options.writers_are_stopped;
  auto selection = barrier::select_barrier(wanted);
  if (!selection) return Unexpected(selection.error());
  auto state = std::make_unique<State>();
  state->selection = std::move(*selection);
  return DirtyTracker(std::move(state));
}

Expected<> DirtyTracker::watch(void* memory, std::size_t bytes) {
  const Range range = Range::of(memory, bytes);
  const std::lock_guard guard(state_->lock);
  barrier::Barrier& barrier = *state_->selection.barrier;
  if (auto attached = barrier.attach(range); !attached) return attached;
  if (auto armed = barrier.arm(range); !armed) {
    (void)barrier.detach(range);
    return armed;
  }
  state_->watched.push_back(range);
  return {};
}

Expected<> DirtyTracker::unwatch(void* memory, std::size_t bytes) {
  const Range range = Range::of(memory, bytes);
  const std::lock_guard guard(state_->lock);
  auto detached = state_->selection.barrier->detach(range);
  if (detached) std::erase(state_->watched, range);
  return detached;
}

Expected<std::size_t> DirtyTracker::take_with(void (*sink)(void* context, Range run),
                                              void* context) {
  const std::lock_guard guard(state_->lock);
  std::size_t bytes = 0;
  for (const Range& range : state_->watched) {
    auto taken = state_->selection.barrier->take(
        range, [&](Range run) { sink(context, run); }, barrier::Then::rearm);
    if (!taken) return taken;
    bytes += *taken;
  }
  return bytes;
}

void DirtyTracker::wrote(const void* first, std::size_t bytes) {
  state_->selection.barrier->record(Range::of(first, bytes));
}

BarrierKind DirtyTracker::barrier() const {
  return state_->selection.barrier->kind();
}
BarrierTraits DirtyTracker::traits() const {
  return state_->selection.barrier->traits();
}
BarrierCounters DirtyTracker::counters() const {
  return state_->selection.barrier->counters();
}

std::vector<BarrierRefusal> DirtyTracker::refusals() const {
  std::vector<BarrierRefusal> all = state_->selection.refusals;
  for (const BarrierRefusal& note : state_->selection.barrier->notes()) all.push_back(note);
  return all;
}

}  // namespace weir
