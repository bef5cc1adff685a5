#include "runtime/collector/cycle_statistics.hpp"

namespace weir::collector {

weir_statistics of_cycles(const observe::HeapStatistics& cycles) {
  weir_statistics statistics{};
  statistics.collections = cycles.cycles;
  statistics.collection_ns = cycles.pauses.sum;
  statistics.pause_ns_p50 = cycles.pauses.p50;
  statistics.pause_ns_p99 = cycles.pauses.p99;
  statistics.pause_ns_max = cycles.pauses.max;
  const observe::Distribution& minor = cycles.pauses_of(observe::CycleKind::minor);
  statistics.minor_collections = minor.count;
  statistics.minor_pause_ns_p50 = minor.p50;
  statistics.minor_pause_ns_p99 = minor.p99;
  statistics.minor_pause_ns_max = minor.max;
  const observe::Distribution& full = cycles.pauses_of(observe::CycleKind::full);
  statistics.full_collections = full.count;
  statistics.full_pause_ns_p50 = full.p50;
  statistics.full_pause_ns_p99 = full.p99;
  statistics.full_pause_ns_max = full.max;
  statistics.traps = cycles.traps;
  const observe::CycleResult& last = cycles.last.result;
  statistics.live_bytes = last.live_bytes;
  statistics.freed_bytes = last.freed_bytes;
  statistics.pages_armed = last.pages_armed;
  statistics.pages_dirty = last.pages_dirty;
  statistics.pages_hot = last.pages_hot;
  statistics.nursery_bytes = last.nursery_bytes;
  return statistics;
}

}  // namespace weir::collector
