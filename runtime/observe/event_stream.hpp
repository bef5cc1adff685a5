// What a heap's collector tells about its work, and where everything comes from that a person sees
// of it: the statistics, the line of WEIR_LOG=gc, the trace of WEIR_TRACE. One stream for each
// heap.
//
// A cycle, always by the collecting thread, under the lock that keeps the heap's cycles apart:
//
//   stream->begin_cycle(CycleKind::full, Reason::growth);  // right before the stop request: `stop`
//   ... stop the world ...
//   stream->phase(Phase::roots);                           // ends `stop`
//   ... scan ...
//   stream->phase(Phase::mark);
//   ...
//   stream->phase(Phase::resume);
//   ... resume the world ...
//   stream->end_cycle(result);                             // right after the last resume
//   stream->publish();                                     // log, trace: system calls, a lock
//
// From begin_cycle to end_cycle nothing here allocates, locks, formats or makes a system call,
// except for the clock: mutators may be stopped wherever they stand. Only publish() does, hence
// with this heap's world running. The same goes for EventWriter: all of it may be used during a
// pause.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/observe/clock.hpp"
#include "runtime/observe/cycle.hpp"
#include "runtime/observe/event_writer.hpp"
#include "runtime/observe/heap_statistics.hpp"
#include "runtime/observe/histogram.hpp"
#include "runtime/observe/published.hpp"

namespace weir::observe {

class TraceFile;

struct ObserveOptions {
  bool log_cycles = false;      // a line on standard error for each cycle
  std::string_view trace_path;  // empty: no trace. Read by create() only
};
// As WEIR_LOG and WEIR_TRACE say.
Expected<ObserveOptions> observe_options_from_environment();

class EventStream {
 public:
  // `markers`: threads that mark, the collecting one included, each with a track of its own in the
  // trace. Fails when the trace cannot be written, with a sentence for the user.
  static Expected<std::unique_ptr<EventStream>> create(unsigned markers,
                                                       const ObserveOptions& options);
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;
  // After all writers of mutators.
  ~EventStream();

  std::uint64_t heap_number() const { return heap_number_; }
  // Without a trace nobody reads events, and writers drop them for the price of a branch.
  bool tracing() const { return trace_ != nullptr; }

  // `index` below `markers`; 0 is the collecting thread in its role as a marker. Belongs to one
  // thread at a time.
  EventWriter& marker(unsigned index) { return *markers_[index]; }
  // The track of a mutator that attaches; destroyed when it detaches. Its own thread writes, or the
  // collecting thread while it is stopped outside a write. Allocates and locks: not in a pause of
  // this heap. Any thread.
  Expected<std::unique_ptr<EventWriter>> add_mutator();

  void begin_cycle(CycleKind kind, Reason reason) noexcept;
  // Ends the phase before and begins this one, with one reading of the clock.
  void phase(Phase phase) noexcept;
  // What happened, in the collecting thread, between begin_cycle and end_cycle.
  EventWriter& collector() { return *collector_; }
  // Ends the last phase and adds the cycle to the statistics. The result is valid until the next
  // begin_cycle.
  const CycleSummary& end_cycle(const CycleResult& result) noexcept;
  // Writes the log line and drains all events into the trace. Before the next begin_cycle.
  void publish();

  // Any thread, at any time; never waits for a cycle. Whole as of some end_cycle.
  HeapStatistics statistics() const;

 private:
  EventStream(bool log_cycles, TraceFile* trace);
  Expected<std::unique_ptr<EventWriter>> add_writer(TrackKind kind, std::uint64_t number);
  std::uint64_t end_phase() noexcept;  // returns the time

  const std::uint64_t heap_number_;
  const bool log_cycles_;
  TraceFile* const trace_;
  std::atomic<std::uint64_t> mutators_{0};     // that ever attached
  std::atomic<std::uint64_t> events_lost_{0};  // as of the last draining
  std::unique_ptr<EventWriter> collector_;
  std::vector<std::unique_ptr<EventWriter>> markers_;

  // Of the collecting thread.
  CycleSummary cycle_;
  Phase phase_ = Phase::stop;
  std::uint64_t phase_began_ns_ = 0;
  std::uint64_t last_end_ns_ = monotonic_ns();
  std::uint64_t events_lost_logged_ = 0;
  Histogram pauses_;
  std::array<Histogram, kCycleKinds> pauses_by_kind_;
  HeapStatistics totals_;

  Published<HeapStatistics> published_;
};

}  // namespace weir::observe
