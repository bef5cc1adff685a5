// What the C API says of a heap's write barrier. Outside the runtime: sentences are made by malloc,
// and what is read has locks of its own.
#include "runtime/barrier/selection.hpp"
#include "runtime/capi/boundary.hpp"

using namespace weir;
using namespace weir::capi;

namespace {

// nullptr: all that the heap does are full collections, and nobody asks what was written.
const barrier::Selection* barrier_of(const collector::Heap& /*heap*/) {
  return nullptr;
}

}  // namespace

const char* weir_heap_barrier(weir_heap* heap) {
  const barrier::Selection* chosen = barrier_of(collector::Heap::of(heap));
  return chosen != nullptr ? name_of(chosen->barrier->kind()) : "none";
}

void weir_heap_barrier_reasons(weir_heap* heap, weir_barrier_visit visit, void* data) {
  const barrier::Selection* chosen = barrier_of(collector::Heap::of(heap));
  if (chosen == nullptr) return;
  for (const BarrierRefusal& refusal : chosen->refusals)
    visit(name_of(refusal.kind), refusal.why.message().c_str(), data);
  for (const BarrierRefusal& note : chosen->barrier->notes())
    visit(name_of(note.kind), note.why.message().c_str(), data);
}
