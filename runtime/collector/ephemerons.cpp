#include "runtime/collector/ephemerons.hpp"

#include "runtime/collector/marker.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

Ephemerons::~Ephemerons() {
  for (weir_ephemeron* ephemeron : all_) os::off_heap_free(ephemeron, sizeof *ephemeron);
}

Expected<weir_ephemeron*> Ephemerons::create(Address key, Address value) {
  const std::lock_guard guard(lock_);
  auto* ephemeron = static_cast<weir_ephemeron*>(os::off_heap_allocate(sizeof(weir_ephemeron)));
  if (ephemeron == nullptr || !all_.push_back(ephemeron)) {
    os::off_heap_free(ephemeron, sizeof *ephemeron);
    return fail(ErrorCode::out_of_memory, "creating an ephemeron");
  }
  *ephemeron = {key, value, static_cast<std::uint32_t>(all_.size() - 1), kNone};
  return ephemeron;
}

void Ephemerons::destroy(weir_ephemeron* ephemeron) {
  const std::lock_guard guard(lock_);
  all_[ephemeron->index] = all_.back();
  all_[ephemeron->index]->index = ephemeron->index;
  all_.pop_back();
  os::off_heap_free(ephemeron, sizeof *ephemeron);
}

void Ephemerons::index_waiting(const heap::Space& space, Marker& marker) {
  const std::lock_guard guard(lock_);
  for (std::uint32_t i = 0; i < all_.size(); ++i) {
    weir_ephemeron& ephemeron = *all_[i];
    if (ephemeron.key == Address()) continue;
    if (space.is_marked(ephemeron.key)) {
      marker.add(ephemeron.value);
      continue;
    }
    bool is_first = false;
    std::uint32_t* first = waiting_.insert(ephemeron.key, i, &is_first);
    if (first == nullptr) os::last_words("no memory for the table of ephemerons");
    ephemeron.next_of_key = is_first ? kNone : std::exchange(*first, i);
  }
}

void Ephemerons::clear_dead(const heap::Space& space) {
  const std::lock_guard guard(lock_);
  for (weir_ephemeron* ephemeron : all_)
    if (ephemeron->key != Address() && !space.is_marked(ephemeron->key))
      ephemeron->key = ephemeron->value = Address();
  if (waiting_.size() != 0) waiting_.clear();
}

}  // namespace weir::collector
