// Roots, weak references, ephemerons and finalizers of the C API.
#include "runtime/capi/boundary.hpp"
#include "runtime/collector/tracer.hpp"

using namespace weir;
using namespace weir::capi;
using collector::Roots;

namespace {

// An object's start, as tables keep it.
weir_status check_object(collector::Heap& heap, const void* object, const char* doing) {
  if (heap.is_object(Address(object))) return WEIR_OK;
  return invalid(doing, "this is not the start of an object of the heap");
}

weir_status add_roots(weir_heap* heap, const void* first, std::size_t bytes,
                      Roots::Reading reading) {
  if (heap == nullptr || first == nullptr || bytes == 0)
    return invalid("adding roots", "`heap` or the address is NULL, or there are none");
  const Range range = Range::of(first, bytes);
  if (reading == Roots::Reading::slots && !range.begin.is_aligned(sizeof(void*)))
    return invalid("adding roots", "slots are aligned to words");
  if (range.end() < range.begin) return invalid("adding roots", "they do not fit into memory");
  return status_of(HeapEntry(heap)->roots().add(range, reading));
}

// The object that the whole range lies in.
Expected<Address> object_around(collector::Heap& heap, const void* begin, std::size_t bytes) {
  const auto found = heap.find(Address(begin));
  if (!found || bytes > static_cast<std::size_t>(found->range.end() - Address(begin)))
    return fail(ErrorCode::invalid_argument, "pinning memory", "it does not lie in one object",
                Range::of(begin, bytes));
  return found->range.begin;
}

}  // namespace

void weir_visitor_flush(weir_visitor* visitor) {
  collector::VisitorOwner::of(visitor).flush_visitor();
}

void weir_visit_conservatively(weir_visitor* visitor, const void* begin, const void* end) {
  collector::VisitorOwner::of(visitor).visit_words(Range::between(Address(begin), Address(end)));
}

weir_status weir_roots_add(weir_heap* heap, void* first, size_t count) {
  if (count > static_cast<std::size_t>(-1) / sizeof(void*))
    return invalid("adding roots", "they do not fit into memory");
  return add_roots(heap, first, count * sizeof(void*), Roots::Reading::slots);
}

weir_status weir_roots_add_conservative(weir_heap* heap, const void* begin, size_t bytes) {
  return add_roots(heap, begin, bytes, Roots::Reading::conservatively);
}

weir_status weir_roots_remove(weir_heap* heap, const void* first) {
  return status_of(HeapEntry(heap)->roots().remove(Address(first)));
}

weir_status weir_roots_add_callback(weir_heap* heap, weir_roots_callback callback, void* data) {
  if (callback == nullptr) return invalid("adding a roots callback", "it is NULL");
  return status_of(HeapEntry(heap)->roots().add_callback(callback, data));
}

weir_status weir_roots_remove_callback(weir_heap* heap, weir_roots_callback callback, void* data) {
  return status_of(HeapEntry(heap)->roots().remove_callback(callback, data));
}

weir_status weir_mutator_roots_callback(weir_mutator* mutator, weir_roots_callback callback,
                                        void* data) {
  const Entry entry(mutator);  // no collection reads them meanwhile
  entry->roots_callback = callback;
  entry->roots_data = data;
  return WEIR_OK;
}

weir_status weir_roots_static_data(weir_heap* heap, bool scan) {
  HeapEntry(heap)->roots().scan_static_data(scan);
  return WEIR_OK;
}

weir_status weir_pin(weir_heap* heap, const void* begin, size_t bytes) {
  const HeapEntry entry(heap);
  const auto object = object_around(*entry, begin, bytes);
  if (!object) return failed(object.error());
  return status_of(entry->roots().hold(*object, Roots::Hold::pinned));
}

weir_status weir_unpin(weir_heap* heap, const void* begin, size_t bytes) {
  const HeapEntry entry(heap);
  const auto object = object_around(*entry, begin, bytes);
  if (!object) return failed(object.error());
  return status_of(entry->roots().release(*object, Roots::Hold::pinned));
}

weir_status weir_weak_create(weir_mutator* mutator, void* object, weir_weak** weak) {
  if (weak == nullptr) return invalid("creating a weak reference", "`weak` is NULL");
  const Entry entry(mutator);
  if (const auto status = check_object(entry.heap(), object, "creating a weak reference");
      status != WEIR_OK)
    return status;
  auto created = entry.heap().weak_cells().create(Address(object));
  if (!created) return failed(created.error());
  *weak = *created;
  return WEIR_OK;
}

void* weir_weak_get(weir_mutator* mutator, weir_weak* weak) {
  (void)attached(mutator);
  return weak->object.as();
}

void weir_weak_destroy(weir_mutator* mutator, weir_weak* weak) {
  const Entry entry(mutator);
  entry.heap().weak_cells().destroy(weak);
}

weir_status weir_ephemeron_create(weir_mutator* mutator, void* key, void* value,
                                  weir_ephemeron** ephemeron) {
  constexpr char kCreating[] = "creating an ephemeron";
  if (ephemeron == nullptr) return invalid(kCreating, "`ephemeron` is NULL");
  const Entry entry(mutator);
  if (const auto status = check_object(entry.heap(), key, kCreating); status != WEIR_OK)
    return status;
  if (value != nullptr)
    if (const auto status = check_object(entry.heap(), value, kCreating); status != WEIR_OK)
      return status;
  auto created = entry.heap().ephemerons().create(Address(key), Address(value));
  if (!created) return failed(created.error());
  *ephemeron = *created;
  return WEIR_OK;
}

void* weir_ephemeron_key(weir_mutator* mutator, weir_ephemeron* ephemeron) {
  (void)attached(mutator);
  return ephemeron->key.as();
}

void* weir_ephemeron_value(weir_mutator* mutator, weir_ephemeron* ephemeron) {
  (void)attached(mutator);
  return ephemeron->value.as();
}

void weir_ephemeron_destroy(weir_mutator* mutator, weir_ephemeron* ephemeron) {
  const Entry entry(mutator);
  entry.heap().ephemerons().destroy(ephemeron);
}

weir_status weir_finalizer_set(weir_mutator* mutator, void* object, weir_finalizer finalizer,
                               void* data) {
  const Entry entry(mutator);
  if (const auto status = check_object(entry.heap(), object, "registering a finalizer");
      status != WEIR_OK)
    return status;
  return status_of(entry.heap().finalizers().set(Address(object), finalizer, data));
}

size_t weir_finalizers_run(weir_mutator* mutator, size_t most) {
  collector::Mutator& finalizing = running(mutator);
  outside_of_callbacks();
  return finalizing.heap().run_finalizers(finalizing, most);
}

size_t weir_finalizers_due(weir_heap* heap) {
  return HeapEntry(heap)->finalizers().due();
}

weir_status weir_finalizer_thread(weir_heap* heap, bool on) {
  if (on) return status_of(HeapEntry(heap)->finalizer_thread().start());
  if (given(heap).finalizer_thread().is_current())
    return failed(fail(ErrorCode::busy, "ending the finalizer thread", "inside a finalizer on it"));
  given(heap).finalizer_thread().stop();
  return WEIR_OK;
}

uint64_t weir_identity_hash(weir_heap* heap, const void* object) {
  return collector::mix(collector::Heap::of(heap).identity_of(Address(object)));
}
