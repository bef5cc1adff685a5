#include "gc_demo/cracauer/event_log.hpp"

#include <unistd.h>

#include <ctime>

namespace weir::cracauer {
namespace {

std::uint64_t now() noexcept {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

Step step_of(observe::FaultStep step) noexcept {
  switch (step) {
    case observe::FaultStep::missing:
      return Step::missing;
    case observe::FaultStep::armed_write:
      return Step::armed_write;
    case observe::FaultStep::recorded:
      return Step::recorded;
    case observe::FaultStep::unprotecting:
      return Step::unprotecting;
    case observe::FaultStep::filled:
      return Step::filled;
    case observe::FaultStep::filled_armed:
      return Step::filled_armed;
  }
  return Step::missing;
}

}  // namespace

void EventLog::add(LogEntry entry) noexcept {
  entry.nanoseconds = now();
  entry.thread = ::gettid();
  std::size_t mine = next_.load();
  do {
    if (mine - oldest_.load() >= kCapacity) {
      lost_.fetch_add(1);
      return;
    }
  } while (!next_.compare_exchange_weak(mine, mine + 1));
  Slot& slot = slots_[mine % kCapacity];
  slot.entry = entry;
  slot.written.store(true, std::memory_order_release);
}

void EventLog::on_fault_event(const observe::FaultEvent& event) noexcept {
  add({.step = step_of(event.step), .write = event.write, .pages = event.pages});
}

std::vector<LogEntry> EventLog::drain() {
  std::vector<LogEntry> entries;
  for (std::size_t i = oldest_.load(); i != next_.load(); ++i) {
    Slot& slot = slots_[i % kCapacity];
    if (!slot.written.load(std::memory_order_acquire)) break;
    entries.push_back(slot.entry);
    slot.written.store(false);
    oldest_.store(i + 1);
  }
  return entries;
}

}  // namespace weir::cracauer
