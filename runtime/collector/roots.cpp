#include "runtime/collector/roots.hpp"

#include <algorithm>

#include "runtime/collector/root_visitor.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::collector {
Expected<> Roots::add(Range range, Reading reading) {
  const std::lock_guard guard(lock_);
  for (const Entry& entry : entries_)
    if (entry.range.begin == range.begin)
      return fail(ErrorCode::busy, "adding roots", "others begin at this address", range);
  if (!entries_.push_back({range, reading})) return fail(ErrorCode::out_of_memory, "adding roots");
  return {};
}

Expected<> Roots::remove(Address first) {
  const std::lock_guard guard(lock_);
  const auto found = std::ranges::find_if(
      entries_, [first](const Entry& entry) { return entry.range.begin == first; });
  if (found == entries_.end())
    return fail(ErrorCode::not_registered, "removing roots", "none begin at this address",
                {first, 0});
  entries_.erase(found);
  return {};
}

Expected<> Roots::add_callback(weir_roots_callback callback, void* data) {
  const std::lock_guard guard(lock_);
  if (!callbacks_.push_back({callback, data}))
    return fail(ErrorCode::out_of_memory, "adding a roots callback");
  return {};
}

Expected<> Roots::remove_callback(weir_roots_callback callback, void* data) {
  const std::lock_guard guard(lock_);
  const auto found = std::ranges::find(callbacks_, Callback{callback, data});
  if (found == callbacks_.end())
    return fail(ErrorCode::not_registered, "removing a roots callback",
                "it was not added with this data");
  callbacks_.erase(found);
  return {};
}

void Roots::scan_static_data(bool scan) {
  const std::lock_guard guard(lock_);
  static_data_ = scan;
}

Expected<> Roots::hold(Address object, Hold how) {
  const std::lock_guard guard(lock_);
  bool is_new = false;
  Holds* holds =
      held_.insert(object, {.young_index = static_cast<std::uint32_t>(young_.size())}, &is_new);
  if (holds == nullptr) return fail(ErrorCode::out_of_memory, "holding an object");
  if (is_new && !young_.push_back(object)) {
    held_.erase(object);
    return fail(ErrorCode::out_of_memory, "holding an object");
  }
  if (how == Hold::pinned)
    ++holds->pins;
  else
    holds->is_uncollectable = true;
  return {};
}

Expected<> Roots::release(Address object, Hold how) {
  const std::lock_guard guard(lock_);
  Holds* holds = held_.find(object);
  const bool is_so =
      holds != nullptr && (how == Hold::pinned ? holds->pins != 0 : holds->is_uncollectable);
  if (!is_so)
    return fail(ErrorCode::not_registered, "releasing an object",
                how == Hold::pinned ? "it is not pinned" : "it is not an uncollectable one",
                {object, 0});
  if (how == Hold::pinned)
    --holds->pins;
  else
    holds->is_uncollectable = false;
  if (holds->pins == 0 && !holds->is_uncollectable) {
    if (holds->young_index != kOld) forget_young(holds->young_index);
    held_.erase(object);
  }
  return {};
}

// Its holds are still there.
void Roots::forget_young(std::uint32_t index) {
  young_[index] = young_.back();
  held_.find(young_[index])->young_index = index;
  young_.pop_back();
}

void Roots::prepare() {
  const std::lock_guard guard(lock_);
  data_.clear();
  if (static_data_) data_.list();
}

bool Roots::is_current() {
  const std::lock_guard guard(lock_);
  return !static_data_ || data_.is_current();
}

void Roots::scan(RootVisitor& visitor, Scope scope) {
  const std::lock_guard guard(lock_);
  for (const Entry& entry : entries_) {
    if (entry.reading == Reading::slots)
      visitor.root_slots("registered slots", entry.range.begin, entry.range.size / sizeof(void*));
    else
      visitor.root_words("registered memory", entry.range);
  }
  for (const Callback& callback : callbacks_)
    visitor.root_callback("a roots callback",
                          [&](weir_visitor* slots) { callback.call(slots, callback.data); });
  constexpr char kHeld[] = "pinned or uncollectable";
  if (scope == Scope::all)
    held_.for_each([&](Address object, const Holds&) { visitor.root_object(kHeld, object); });
  for (const Address object : young_) {
    if (scope == Scope::young) visitor.root_object(kHeld, object);
    held_.find(object)->young_index = kOld;
  }
  young_.clear();
  for (const Range& segment : data_)  // a stopped thread may be about to unload one
    if (os::is_mapped(segment)) visitor.root_words("static data", segment);
}

}  // namespace weir::collector
