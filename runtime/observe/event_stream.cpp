#include "runtime/observe/event_stream.hpp"

#include "runtime/observe/cycle_log.hpp"
#include "runtime/observe/trace_file.hpp"
#include "runtime/os/environment.hpp"

namespace weir::observe {
namespace {

std::uint64_t next_heap_number() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Expected<ObserveOptions> observe_options_from_environment() {
  const auto log = os::environment(os::Variable::log);
  if (!log) return Unexpected(log.error());
  const auto trace = os::environment(os::Variable::trace);
  if (!trace) return Unexpected(trace.error());
  return ObserveOptions{os::list_has(log->value_or(""), "gc"), trace->value_or("")};
}

Expected<std::unique_ptr<EventStream>> EventStream::create(unsigned markers,
                                                           const ObserveOptions& options) {
  TraceFile* trace = nullptr;
  if (!options.trace_path.empty()) {
    auto opened = TraceFile::open(options.trace_path);
    if (!opened) return Unexpected(opened.error());
    trace = *opened;
  }
  std::unique_ptr<EventStream> stream(new EventStream(options.log_cycles, trace));
  auto collector = stream->add_writer(TrackKind::collector, 0);
  if (!collector) return Unexpected(collector.error());
  stream->collector_ = std::move(*collector);
  for (unsigned i = 1; i <= markers; ++i) {
    auto marker = stream->add_writer(TrackKind::marker, i);
    if (!marker) return Unexpected(marker.error());
    stream->markers_.push_back(std::move(*marker));
  }
  return stream;
}

EventStream::EventStream(bool log_cycles, TraceFile* trace)
    : heap_number_(next_heap_number()), log_cycles_(log_cycles), trace_(trace) {}

EventStream::~EventStream() = default;

Expected<std::unique_ptr<EventWriter>> EventStream::add_writer(TrackKind kind,
                                                               std::uint64_t number) {
  return EventWriter::create({heap_number_, kind, number}, trace_, events_lost_);
}

Expected<std::unique_ptr<EventWriter>> EventStream::add_mutator() {
  return add_writer(TrackKind::mutator, mutators_.fetch_add(1, std::memory_order_relaxed) + 1);
}

void EventStream::begin_cycle(CycleKind kind, Reason reason) noexcept {
  const std::uint64_t now = monotonic_ns();
  cycle_ = {};
  cycle_.heap = heap_number_;
  cycle_.number = totals_.cycles + 1;
  cycle_.kind = kind;
  cycle_.reason = reason;
  cycle_.begin_ns = now;
  cycle_.since_last_ns = now - last_end_ns_;
  phase_ = Phase::stop;
  phase_began_ns_ = now;
}

std::uint64_t EventStream::end_phase() noexcept {
  const std::uint64_t now = monotonic_ns();
  cycle_.phase_ns[static_cast<std::size_t>(phase_)] += now - phase_began_ns_;
  collector_->phase(phase_, phase_began_ns_, now);
  return now;
}

void EventStream::phase(Phase phase) noexcept {
  phase_began_ns_ = end_phase();
  phase_ = phase;
}

const CycleSummary& EventStream::end_cycle(const CycleResult& result) noexcept {
  last_end_ns_ = end_phase();
  cycle_.pause_ns = last_end_ns_ - cycle_.begin_ns;
  cycle_.result = result;
  collector_->counter(Counter::heap_bytes, cycle_.begin_ns, result.heap_before_bytes);
  collector_->counter(Counter::heap_bytes, last_end_ns_, result.heap_after_bytes);
  collector_->counter(Counter::live_bytes, last_end_ns_, result.live_bytes);
  collector_->counter(Counter::dirty_pages, last_end_ns_, result.pages_dirty);
  collector_->counter(Counter::hot_pages, last_end_ns_, result.pages_hot);
  collector_->counter(Counter::nursery_bytes, last_end_ns_, result.nursery_bytes);

  const auto kind = static_cast<std::size_t>(cycle_.kind);
  pauses_.record(cycle_.pause_ns);
  pauses_by_kind_[kind].record(cycle_.pause_ns);
  totals_.cycles = cycle_.number;
  totals_.freed_bytes += result.freed_bytes;
  totals_.promoted_bytes += result.promoted_bytes;
  totals_.marker_cpu_ns += result.marker_cpu_ns;
  totals_.traps += result.traps;
  totals_.pauses = pauses_.distribution();
  totals_.pauses_by_kind[kind] = pauses_by_kind_[kind].distribution();
  totals_.last = cycle_;
  published_.publish(totals_);
  return cycle_;
}

void EventStream::publish() {
  if (trace_ != nullptr) trace_->add_cycle(cycle_);
  if (!log_cycles_) return;
  const std::uint64_t lost = events_lost_.load(std::memory_order_relaxed);
  log_cycle(cycle_, lost - events_lost_logged_);
  events_lost_logged_ = lost;
}

HeapStatistics EventStream::statistics() const {
  HeapStatistics statistics = published_.read();
  statistics.events_lost = events_lost_.load(std::memory_order_relaxed);
  return statistics;
}

}  // namespace weir::observe
