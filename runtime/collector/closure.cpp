#include "runtime/collector/closure.hpp"

#include "runtime/collector/heap.hpp"

namespace weir::collector {

Closure::Closure(Heap& heap) : Tracer(heap.space(), heap.format()), heap_(heap) {}

Closure::Missed Closure::find() {
  heap_.space().for_each_object([this](const heap::Found& object) {
    if (missed_.object != Address() || !space_.is_marked(object.range.begin)) return;
    parent_ = object.range.begin;
    trace_part(object, 0, object.range.size);
  });
  heap_.images().for_each_edge([this](Address object, Address slot, Address target) {
    parent_ = object;
    edge(slot, target);
  });
  return missed_;
}

void Closure::edge(Address slot, Address target) {
  if (target == Address() || missed_.object != Address()) return;
  const auto object = space_.find(target);
  if (object && !space_.is_marked(object->range.begin))
    missed_ = {parent_, slot, object->range.begin};
}

}  // namespace weir::collector
