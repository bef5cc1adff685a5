#include "runtime/collector/collection.hpp"

#include "runtime/collector/verifier.hpp"
#include "runtime/observe/clock.hpp"

namespace weir::collector {

using observe::Phase;

void Collection::run() {
  observe::EventStream& events = *heap_.events_;
  result_.heap_before_bytes = heap_.space_->in_blocks();
  const std::size_t used = heap_.space_->used();

  events.phase(Phase::prepare);
  prepare();
  {
    Marker marker(*heap_.space_, heap_.format_, heap_.pool_, nullptr);
    events.phase(Phase::roots);
    heap_.scan_roots(marker);
    events.phase(Phase::mark);
    mark(marker);
    events.phase(Phase::weak);
    follow_ephemerons(marker);
    heap_.weak_cells_.clear_dead(*heap_.space_);
    events.phase(Phase::finalizers);
    find_due_finalizers(marker);
    heap_.ephemerons_.clear_dead(*heap_.space_);
    result_.live_bytes = marker.marked_bytes() + marked_bytes_;
    if (heap_.config_.verify) {
      events.phase(Phase::verify);
      verify(heap_, marker.marked_objects() + marked_objects_);
    }
  }
  events.phase(Phase::sweep);
  sweep(result_.live_bytes);
  result_.heap_after_bytes = heap_.space_->in_blocks();
  result_.freed_bytes = used > result_.live_bytes ? used - result_.live_bytes : 0;
  result_.promoted_bytes = result_.live_bytes;
  result_.markers = heap_.team_.size();
  result_.marker_cpu_ns = cpu_ns_;
}

void Collection::prepare() {
  heap_.for_each_mutator([this](Mutator& mutator) {
    mutator.revoke_spans();
    heap_.allocated_ += mutator.take_allocated();
  });
  heap_.space_->finish_sweeping();
  heap_.space_->begin_marking();
}

void Collection::mark(Marker& first) {
  heap_.pool_.restart();
  first.flush();
  const unsigned markers = heap_.team_.size();
  heap_.team_.run([&](unsigned index) {
    const std::uint64_t cpu_before = observe::thread_cpu_ns();
    observe::Span span(heap_.events_->marker(index), observe::Activity::marking);
    if (index == 0) {
      first.run(markers);
    } else {
      Marker marker(*heap_.space_, heap_.format_, heap_.pool_, ephemerons_);
      marker.run(markers);
      marked_bytes_ += marker.marked_bytes();
      marked_objects_ += marker.marked_objects();
      span.set_value(marker.marked_objects());
    }
    cpu_ns_ += observe::thread_cpu_ns() - cpu_before;
  });
}

void Collection::follow_ephemerons(Marker& marker) {
  if (heap_.ephemerons_.size() == 0) return;
  heap_.ephemerons_.index_waiting(*heap_.space_, marker);
  ephemerons_ = &heap_.ephemerons_;
  marker.set_ephemerons(ephemerons_);
  mark(marker);
}

void Collection::find_due_finalizers(Marker& marker) {
  if (heap_.finalizers_.find_dead(*heap_.space_, marker)) mark(marker);
}

void Collection::sweep(std::size_t live) {
  heap_.space_->end_marking(live);
  heap_.for_each_mutator([](Mutator& mutator) { mutator.sweep_held(); });
}

}  // namespace weir::collector
