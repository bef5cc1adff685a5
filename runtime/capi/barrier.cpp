// What the C API says of a heap's write barrier. Outside the runtime: sentences are made by malloc,
// and what is read has locks of its own.
#include "runtime/capi/boundary.hpp"

using namespace weir;
using namespace weir::capi;

const char* weir_heap_barrier(weir_heap* heap) {
  const barrier::Barrier* chosen = collector::Heap::of(heap).barrier();
  return chosen != nullptr ? name_of(chosen->kind()) : "none";
}

void weir_heap_barrier_reasons(weir_heap* heap, weir_barrier_visit visit, void* data) {
  const collector::Heap& asked = collector::Heap::of(heap);
  if (asked.barrier() == nullptr) return;
  for (const BarrierRefusal& refusal : asked.barrier_refusals())
    visit(name_of(refusal.kind), refusal.why.message().c_str(), data);
  for (const BarrierRefusal& note : asked.barrier()->notes())
    visit(name_of(note.kind), note.why.message().c_str(), data);
}
