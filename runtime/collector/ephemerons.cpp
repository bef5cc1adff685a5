#include "runtime/collector/ephemerons.hpp"

#include "runtime/collector/marker.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {

Ephemerons::~Ephemerons() {
  for (weir_ephemeron* ephemeron : pairs_.in(Scope::all))
    os::off_heap_free(ephemeron, sizeof *ephemeron);
}

Expected<weir_ephemeron*> Ephemerons::create(Address key, Address value) {
  const std::lock_guard guard(lock_);
  auto* ephemeron = static_cast<weir_ephemeron*>(os::off_heap_allocate(sizeof(weir_ephemeron)));
  if (ephemeron == nullptr || !pairs_.add(ephemeron)) {
    os::off_heap_free(ephemeron, sizeof *ephemeron);
    return fail(ErrorCode::out_of_memory, "creating an ephemeron");
  }
  ephemeron->key = key;
  ephemeron->value = value;
  return ephemeron;
}

void Ephemerons::destroy(weir_ephemeron* ephemeron) {
  const std::lock_guard guard(lock_);
  pairs_.remove(ephemeron);
  os::off_heap_free(ephemeron, sizeof *ephemeron);
}

void Ephemerons::index_waiting(const heap::Space& space, Marker& marker, Scope scope) {
  const std::lock_guard guard(lock_);
  for (weir_ephemeron* ephemeron : pairs_.in(scope)) {
    if (ephemeron->key == Address()) continue;
    if (space.lives(ephemeron->key)) {
      marker.add(ephemeron->value);
      continue;
    }
    bool is_first = false;
    std::uint32_t* first = waiting_.insert(ephemeron->key, ephemeron->index, &is_first);
    if (first == nullptr) os::last_words("no memory for the table of ephemerons");
    ephemeron->next_of_key = is_first ? kNone : std::exchange(*first, ephemeron->index);
  }
}

void Ephemerons::clear_dead(const heap::Space& space, Scope scope) {
  const std::lock_guard guard(lock_);
  for (weir_ephemeron* ephemeron : pairs_.in(scope)) {
    if (ephemeron->key == Address()) continue;
    // One by one in a minor cycle: the table may be as large as the last full one needed it.
    if (scope == Scope::young) waiting_.erase(ephemeron->key);
    if (!space.lives(ephemeron->key)) ephemeron->key = ephemeron->value = Address();
  }
  if (waiting_.size() != 0) waiting_.clear();
  pairs_.become_old();
}

}  // namespace weir::collector
