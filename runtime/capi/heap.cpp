// Heaps, kinds, limits and statistics of the C API.
#include <utility>

#include "runtime/capi/boundary.hpp"
#include "runtime/collector/settings.hpp"

using namespace weir;
using namespace weir::capi;

namespace {

heap::TraceClass trace_class(weir_tracing tracing) {
  switch (tracing) {
    case WEIR_TRACE_LEAF:
      return heap::TraceClass::leaf;
    case WEIR_TRACE_CONSERVATIVE:
      return heap::TraceClass::conservative;
    case WEIR_TRACE_SLOTS:
      return heap::TraceClass::slots;
    case WEIR_TRACE_BITMAP:
      return heap::TraceClass::bitmap;
    case WEIR_TRACE_CALLBACK:
      return heap::TraceClass::callback;
  }
  return heap::TraceClass::free;
}

// Runs all finalizers there are, also those of objects that live.
Expected<> run_all_finalizers(collector::Heap& heap) {
  auto mutator = heap.attach(collector::default_mutator_config());
  if (!mutator) return Unexpected(mutator.error());
  // One may register others; those that do so for ever have had their chance.
  constexpr int kRounds = 8;
  for (int round = 0; round < kRounds; ++round) {
    {
      const threads::MutatorThread::Runtime runtime((*mutator)->thread());
      heap.finalizers().make_all_due();
    }
    if (heap.run_finalizers(**mutator, static_cast<std::size_t>(-1)) == 0) break;
  }
  return heap.detach(**mutator);
}

}  // namespace

void weir_config_init(weir_config* config) {
  *config = collector::default_config();
}

weir_status weir_heap_create(const weir_config* config, weir_heap** heap) {
  if (heap == nullptr) return invalid("creating a heap", "`heap` is NULL");
  auto created = collector::Heap::create(config != nullptr ? *config : collector::default_config());
  if (!created) return failed(created.error());
  *heap = created->release();
  return WEIR_OK;
}

weir_status weir_heap_destroy(weir_heap* heap, bool run_finalizers) {
  if (heap == nullptr) return invalid("destroying a heap", "`heap` is NULL");
  collector::Heap& ending = collector::Heap::of(heap);
  if (ending.finalizer_thread().is_current())
    return failed(fail(ErrorCode::busy, "destroying a heap", "inside a finalizer on its thread"));
  const bool has_thread = ending.finalizer_thread().is_running();
  if (ending.mutator_count() > (has_thread ? 1u : 0u))
    return failed(fail(ErrorCode::busy, "destroying a heap", "mutators are attached"));
  ending.finalizer_thread().stop();
  if (run_finalizers)
    if (auto done = run_all_finalizers(ending); !done) return failed(done.error());
  delete &ending;
  return WEIR_OK;
}

weir_status weir_heap_set_limits(weir_heap* heap, size_t minimum_bytes, size_t maximum_bytes) {
  return status_of(HeapEntry(heap)->set_limits(minimum_bytes, maximum_bytes));
}

size_t weir_heap_trim(weir_heap* heap) {
  return HeapEntry(heap)->trim();
}

void weir_heap_on_out_of_memory(weir_heap* heap, weir_out_of_memory handler, void* data) {
  HeapEntry(heap)->on_out_of_memory(handler, data);
}

void weir_heap_external(weir_heap* heap, ptrdiff_t change) {
  HeapEntry(heap)->add_external(change);
}

void weir_heap_statistics(weir_heap* heap, weir_statistics* statistics) {
  *statistics = HeapEntry(heap)->statistics();
}

weir_status weir_kind_define(weir_heap* heap, const weir_kind_config* config, weir_kind* kind) {
  if (config == nullptr || kind == nullptr || config->name == nullptr)
    return invalid("defining a kind", "`config`, its `name` or `kind` is NULL");
  if (collector::stored_value(config->tracing) > WEIR_TRACE_CALLBACK)
    return invalid("defining a kind", "`tracing` is none of its values");
  const heap::TraceClass trace = trace_class(config->tracing);
  heap::Kind defined;
  defined.name = config->name;
  defined.bitmap_words = config->bitmap_words;
  if (trace == heap::TraceClass::bitmap && config->bitmap != nullptr && config->bitmap_words != 0 &&
      config->bitmap_words <= heap::Kinds::kMaxBitmapWords)
    defined.bitmap.assign(config->bitmap, config->bitmap + (config->bitmap_words + 63) / 64);
  defined.trace = config->trace;
  defined.data = config->data;
  defined.reaches_off_heap = config->reaches_off_heap;
  defined.movable = config->movable;
  const HeapEntry entry(heap);
  heap::Space& space = entry->space();
  const std::lock_guard guard(space.lock());
  const auto tag = space.kinds().define(trace, std::move(defined));
  if (!tag) return failed(tag.error());
  *kind = tag->value();
  return WEIR_OK;
}

const char* weir_kind_name(weir_heap* heap, weir_kind kind) {
  const heap::Kind* found = collector::Heap::of(heap).space().kinds().find(heap::KindTag(kind));
  return found != nullptr ? found->name.c_str() : nullptr;
}
