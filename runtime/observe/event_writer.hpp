// One track of a heap's events: the collector's, a marker's, a mutator's. Made by EventStream.
// Writing is for one thread at a time, allowed in every state (see event_ring.hpp), and costs a
// branch when there is no trace.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "runtime/observe/clock.hpp"
#include "runtime/observe/event.hpp"
#include "runtime/observe/event_ring.hpp"

namespace weir::observe {

class TraceFile;

enum class TrackKind : std::uint8_t { collector, marker, mutator };
inline constexpr std::array<std::string_view, 3> kTrackKindNames = {"collector", "marker",
                                                                    "mutator"};
constexpr std::string_view name_of(TrackKind kind) {
  return kTrackKindNames[static_cast<std::size_t>(kind)];
}

// Where events are drawn.
struct Track {
  std::uint64_t heap;  // number of the heap, from 1
  TrackKind kind;
  std::uint64_t number;  // marker, mutator: from 1 in its heap
};

class EventWriter {
 public:
  // `trace` nullptr: no ring, nothing is written. What is lost is added to `events_lost`, too.
  static Expected<std::unique_ptr<EventWriter>> create(Track track, TraceFile* trace,
                                                       std::atomic<std::uint64_t>& events_lost);
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  // Drains what is left into the trace. Not in a pause of this heap.
  ~EventWriter();

  bool enabled() const { return ring_.capacity() != 0; }
  // 0 when it is not enabled: so that who times a span by itself asks no clock in vain.
  std::uint64_t now() const { return enabled() ? monotonic_ns() : 0; }

  void phase(Phase id, std::uint64_t begin_ns, std::uint64_t end_ns) {
    write(Event::of(id, begin_ns, end_ns));
  }
  // When it has ended. Spans of one track nest or do not touch.
  void span(Activity id, std::uint64_t begin_ns, std::uint64_t end_ns, std::uint64_t value = 0) {
    write(Event::of(id, begin_ns, end_ns, value));
  }
  void instant(Instant id, std::uint64_t value = 0) { write(Event::of(id, now(), value)); }
  void counter(Counter id, std::uint64_t at_ns, std::uint64_t value) {
    write(Event::of(id, at_ns, value));
  }

  const Track& track() const { return track_; }
  std::uint64_t lost() const { return ring_.lost(); }

 private:
  friend class TraceFile;  // which drains it
  EventWriter(Track track, TraceFile* trace, EventRing ring,
              std::atomic<std::uint64_t>& events_lost);
  void write(const Event& event) {
    if (enabled()) ring_.push(event);
  }

  const Track track_;
  TraceFile* const trace_;
  EventRing ring_;
  std::atomic<std::uint64_t>& events_lost_;

  // Of the trace file, under its lock.
  EventWriter* next_ = nullptr;
  std::uint64_t thread_id_ = 0;  // in the trace
  bool named_ = false;
  std::uint64_t lost_shown_ = 0;
};

// A span from here to the end of the scope.
class Span {
 public:
  Span(EventWriter& writer, Activity activity)
      : writer_(writer), activity_(activity), begin_ns_(writer.now()) {}
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;
  ~Span() { writer_.span(activity_, begin_ns_, writer_.now(), value_); }
  void set_value(std::uint64_t value) { value_ = value; }

 private:
  EventWriter& writer_;
  Activity activity_;
  std::uint64_t begin_ns_;
  std::uint64_t value_ = 0;
};

}  // namespace weir::observe
