// What the C API says of a heap's write barrier. Outside the runtime: sentences are made by malloc,
// and what is read has locks of its own.
#include "runtime/barrier/barrier.hpp"

#include "runtime/collector/heap.hpp"

using namespace weir;

const char* weir_heap_barrier(weir_heap* heap) {
  const barrier::Barrier* barrier = collector::Heap::of(heap).barrier();
  return barrier != nullptr ? name_of(barrier->kind()) : "none";
}

void weir_heap_barrier_reasons(weir_heap* heap, weir_barrier_visit visit, void* data) {
  const collector::Heap& asked = collector::Heap::of(heap);
  const auto tell = [&](const std::vector<BarrierRefusal>& reasons) {
    for (const BarrierRefusal& reason : reasons)
      visit(name_of(reason.kind), reason.why.message().c_str(), data);
  };
  tell(asked.barrier_refusals());
  if (asked.barrier() != nullptr) tell(asked.barrier()->notes());
}
