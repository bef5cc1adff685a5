#include "runtime/observe/event_writer.hpp"

#include "runtime/observe/trace_file.hpp"

namespace weir::observe {
namespace {

// Events between two drainings: a collector has a dozen for each cycle, a mutator a few, a marker
// some for each time it runs out of work. 8, 128 and 8 KiB.
constexpr std::size_t capacity_of(TrackKind kind) {
  return kind == TrackKind::marker ? 4096 : 256;
}
static_assert(capacity_of(TrackKind::marker) <= TraceFile::kLargestRing);

}  // namespace

Expected<std::unique_ptr<EventWriter>> EventWriter::create(
    Track track, TraceFile* trace, std::atomic<std::uint64_t>& events_lost) {
  auto ring = EventRing::create(trace != nullptr ? capacity_of(track.kind) : 0);
  if (!ring) return Unexpected(ring.error());
  std::unique_ptr<EventWriter> writer(new EventWriter(track, trace, std::move(*ring), events_lost));
  if (trace != nullptr) trace->add(*writer);
  return writer;
}

EventWriter::EventWriter(Track track, TraceFile* trace, EventRing ring,
                         std::atomic<std::uint64_t>& events_lost)
    : track_(track), trace_(trace), ring_(std::move(ring)), events_lost_(events_lost) {}

EventWriter::~EventWriter() {
  if (trace_ != nullptr) trace_->remove(*this);
}

}  // namespace weir::observe
