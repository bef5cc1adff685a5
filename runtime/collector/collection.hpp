// One full collection of a heap whose world is stopped:
//
//   prepare     spans are revoked, what is unswept from the last time is swept, a new mark epoch
//   roots       everything that refers into the heap from outside
//   mark        all markers, until nothing is left
//   weak        values of ephemerons whose keys live; then weak cells to dead objects are cleared
//   finalizers  of dead objects become due, and what they reach is marked, too
//   verify      (in verify mode)
//   sweep       large objects; the rest is left to those who need memory
#pragma once

#include "runtime/collector/heap.hpp"

namespace weir::collector {

class Collection {
 public:
  explicit Collection(Heap& heap) : heap_(heap) {}

  void run();
  const observe::CycleResult& result() const { return result_; }

 private:
  void prepare();
  void mark(Marker& first);
  void follow_ephemerons(Marker& marker);
  void find_due_finalizers(Marker& marker);
  void sweep(std::size_t live);

  Heap& heap_;
  const Ephemerons* ephemerons_ = nullptr;    // once those that wait are indexed
  std::atomic<std::size_t> marked_bytes_{0};  // by the markers but the first
  std::atomic<std::size_t> marked_objects_{0};
  std::atomic<std::uint64_t> cpu_ns_{0};
  observe::CycleResult result_;
};

}  // namespace weir::collector
