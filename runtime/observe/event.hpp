// One thing that happened on one track, in 32 bytes. A span is one event, made when it ends, and
// not a pair: a ring that overflows may lose it, but can never leave half of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "runtime/observe/cycle.hpp"

namespace weir::observe {

// What a thread does for a while; phases of a cycle are told apart, by Phase.
enum class Activity : std::uint8_t {
  marking,  // a marker traces; value: objects it marked
  idle,     // a marker has nothing to trace, and waits for work or for the end
  stopped,  // a mutator stands at a safepoint or in the stop signal's handler
  waiting,  // a mutator waits for another's cycle before it can go on allocating
};
inline constexpr std::array<std::string_view, 4> kActivityNames = {"marking", "idle", "stopped",
                                                                   "waiting"};
static_assert(static_cast<std::size_t>(Activity::waiting) + 1 == kActivityNames.size());

enum class Instant : std::uint8_t {
  out_of_memory,  // the embedder's handler was called; value: bytes that did not fit
  stack_full,     // a mark stack reached its limit and spilled; value: entries
};
inline constexpr std::array<std::string_view, 2> kInstantNames = {"out of memory",
                                                                  "mark stack full"};
static_assert(static_cast<std::size_t>(Instant::stack_full) + 1 == kInstantNames.size());

// Drawn as curves, one for each heap.
enum class Counter : std::uint8_t { heap_bytes, live_bytes, dirty_pages, hot_pages, nursery_bytes };
inline constexpr std::array<std::string_view, 5> kCounterNames = {
    "heap bytes", "live bytes", "dirty pages", "hot pages", "nursery bytes"};
static_assert(static_cast<std::size_t>(Counter::nursery_bytes) + 1 == kCounterNames.size());

struct Event {
  enum class Kind : std::uint8_t { phase, activity, instant, counter };

  std::uint64_t begin_ns;
  std::uint64_t duration_ns;  // phase, activity
  std::uint64_t value;
  Kind kind;
  std::uint8_t id;  // Phase, Activity, Instant or Counter, as `kind` says

  static Event of(Phase id, std::uint64_t begin_ns, std::uint64_t end_ns) {
    return {begin_ns, end_ns - begin_ns, 0, Kind::phase, static_cast<std::uint8_t>(id)};
  }
  static Event of(Activity id, std::uint64_t begin_ns, std::uint64_t end_ns, std::uint64_t value) {
    return {begin_ns, end_ns - begin_ns, value, Kind::activity, static_cast<std::uint8_t>(id)};
  }
  static Event of(Instant id, std::uint64_t at_ns, std::uint64_t value) {
    return {at_ns, 0, value, Kind::instant, static_cast<std::uint8_t>(id)};
  }
  static Event of(Counter id, std::uint64_t at_ns, std::uint64_t value) {
    return {at_ns, 0, value, Kind::counter, static_cast<std::uint8_t>(id)};
  }

  bool is_span() const { return kind == Kind::phase || kind == Kind::activity; }
  std::string_view name() const {
    switch (kind) {
      case Kind::phase:
        return kPhaseNames[id];
      case Kind::activity:
        return kActivityNames[id];
      case Kind::instant:
        return kInstantNames[id];
      case Kind::counter:
        return kCounterNames[id];
    }
    return {};
  }
};
static_assert(sizeof(Event) == 32 && std::is_trivially_copyable_v<Event>);

}  // namespace weir::observe
