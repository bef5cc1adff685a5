#include "runtime/collector/finalizers.hpp"

#include "runtime/collector/marker.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

Expected<> Finalizers::set(Address object, weir_finalizer call, void* data) {
  const std::lock_guard guard(lock_);
  if (call == nullptr) {
    if (const std::uint32_t* at = index_.find(object)) {
      registered_[*at] = {};
      index_.erase(object);
    }
    return {};
  }
  bool is_new = false;
  std::uint32_t* at =
      index_.insert(object, static_cast<std::uint32_t>(registered_.size()), &is_new);
  if (at == nullptr) return fail(ErrorCode::out_of_memory, "registering a finalizer");
  if (!is_new) {
    registered_[*at] = {object, call, data};
  } else if (!registered_.push_back({object, call, data})) {
    index_.erase(object);
    return fail(ErrorCode::out_of_memory, "registering a finalizer");
  }
  return {};
}

std::optional<Finalizer> Finalizers::take_due() {
  const std::lock_guard guard(lock_);
  if (first_due_ == due_.size()) return std::nullopt;
  const Finalizer next = due_[first_due_];
  if (!running_.push_back(next.object)) return std::nullopt;  // later, perhaps
  if (++first_due_ == due_.size()) {
    due_.clear();
    first_due_ = 0;
  }
  return next;
}

void Finalizers::done(Address object) {
  const std::lock_guard guard(lock_);
  for (Address& running : running_) {
    if (running != object) continue;
    running = running_.back();
    running_.pop_back();
    return;
  }
}

void Finalizers::make_due(const Finalizer& finalizer) {
  if (!due_.push_back(finalizer)) os::last_words("no memory for the queue of finalizers");
  index_.erase(finalizer.object);
}

void Finalizers::make_all_due() {
  const std::lock_guard guard(lock_);
  for (const Finalizer& finalizer : registered_)
    if (finalizer.object != Address()) make_due(finalizer);
  registered_.clear();
  old_count_ = 0;
}

void Finalizers::scan_roots(RootVisitor& visitor) {
  const std::lock_guard guard(lock_);
  for (std::size_t i = first_due_; i < due_.size(); ++i)
    visitor.root_object("due to be finalized", due_[i].object);
  for (const Address object : running_) visitor.root_object("being finalized", object);
}

bool Finalizers::find_dead(const heap::Space& space, Marker& marker, Scope scope) {
  const std::lock_guard guard(lock_);
  bool found = false;
  const std::size_t first = scope == Scope::young ? old_count_ : 0;
  for (std::size_t i = first; i < registered_.size(); ++i) {
    Finalizer& finalizer = registered_[i];
    if (finalizer.object == Address() || space.lives(finalizer.object)) continue;
    make_due(finalizer);
    marker.add(finalizer.object);
    finalizer = {};
    found = true;
  }
  // The old ones only when it is worth their while, and never in a minor cycle.
  compact(index_.size() * 2 < registered_.size() ? first : old_count_);
  old_count_ = registered_.size();
  return found;
}

void Finalizers::compact(std::size_t from) {
  auto kept = static_cast<std::uint32_t>(from);
  for (std::size_t i = from; i < registered_.size(); ++i) {
    const Finalizer finalizer = registered_[i];
    if (finalizer.object == Address()) continue;
    if (kept != i) {
      *index_.find(finalizer.object) = kept;
      registered_[kept] = finalizer;
    }
    ++kept;
  }
  registered_.truncate(kept);
}

}  // namespace weir::collector
