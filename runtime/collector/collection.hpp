// One collection of a heap whose world is stopped:
//
//   prepare     spans are revoked; full: what is unswept is swept, and a new mark epoch begins
//   dirty       minor: old memory that was written, or that the barrier did not watch
//   roots       everything that refers into the heap from outside
//   mark        all markers, until nothing is left
//   weak        values of ephemerons whose keys live; then weak cells to dead objects are cleared
//   finalizers  of dead objects become due, and what they reach is marked, too
//   verify      (in verify mode)
//   sweep       large objects, and blocks in which nothing lives; the rest is left to those who
//   need
//               memory. What has become old is armed
#pragma once

#include "runtime/collector/card_check.hpp"
#include "runtime/collector/heap.hpp"

namespace weir::collector {

class Collection {
 public:
  Collection(Heap& heap, Scope scope)
      : heap_(heap),
        scope_(scope),
        counting_(heap.config_.verify ? Marker::Counting::exact : Marker::Counting::rough) {}

  void run();
  const observe::CycleResult& result() const { return result_; }
  std::size_t allocated() const { return allocated_; }  // since the cycle before; bytes
  // Of the collecting thread: for the roots, and to find out what was written.
  std::uint64_t fixed_cpu_ns() const { return fixed_cpu_ns_; }
  std::uint64_t trap_ns() const {  // of the mutators, since the cycle before
    const auto* remembered = heap_.space_->remembered_set();
    return remembered != nullptr ? remembered->trap_ns() : 0;
  }
  std::uint64_t others_cpu_ns() const { return others_cpu_ns_; }  // of the team, but the caller
  // What a marker worked longer than the collecting thread: a list is marked by one of them.
  std::uint64_t waited_ns() const { return waited_ns_; }

 private:
  void prepare();
  void scan_remembered(Marker& marker);
  void scan_images(Marker& marker);
  void mark(Marker& first);
  std::uint64_t scan_old(Marker& first, std::span<const Range> runs,
                         std::span<std::uint8_t> found_young);
  std::uint64_t in_parallel(bool by_all, Marker& first,
                            os::FunctionRef<void(Marker&, unsigned)> work);
  static bool is_worth_a_team(std::size_t bytes_to_look_at);
  void follow_ephemerons(Marker& marker);
  void find_due_finalizers(Marker& marker);
  void sweep(std::size_t live);
  void add_reachers(const Marker& marker);
  void check_cards(CardCheck& check);

  Heap& heap_;
  const Scope scope_;
  const Marker::Counting counting_;
  const Ephemerons* ephemerons_ = nullptr;    // once those that wait are indexed
  std::atomic<std::size_t> marked_bytes_{0};  // by the markers but the first
  std::atomic<std::size_t> marked_objects_{0};
  std::atomic<std::size_t> scanned_bytes_{0};
  std::uint64_t cpu_ns_ = 0;  // of all markers
  std::atomic<std::uint64_t> others_cpu_ns_{0};
  std::mutex reachers_lock_;
  std::size_t allocated_ = 0;
  std::uint64_t fixed_cpu_ns_ = 0;
  std::uint64_t waited_ns_ = 0;
  observe::CycleResult result_;
};

}  // namespace weir::collector
