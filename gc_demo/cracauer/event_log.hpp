// Remembers what happens on the fault path until the main thread has the time to tell it: a fixed
// ring of plain entries with time stamps, so that writing to it is allowed there [quiet-server].
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>
#include <weir/address.hpp>

#include "gc_demo/cracauer/content.hpp"
#include "runtime/observe/fault_trace.hpp"

namespace weir::cracauer {

enum class Step : std::uint8_t {
  touch,         // a thread is about to touch a page
  missing,       // a fault: the page is not there
  armed_write,   // a fault: a write to an armed page
  inflated,      // the page source decoded a page
  filled,        // the page was brought in, writable
  filled_armed,  // the page was brought in, armed
  recorded,      // the barrier put the page into the dirty set
  unprotecting,  // the barrier lets the write through
  went_on,       // the thread has its access behind it
};

struct LogEntry {
  Step step;
  bool write = false;
  pid_t thread = 0;
  Range pages;
  Word value = 0;         // went_on: the word read or written
  std::size_t bytes = 0;  // inflated: what it was on disk
  std::uint64_t nanoseconds = 0;
};

class EventLog final : public observe::FaultObserver {
 public:
  // From any thread, signal handlers included. Adds thread and time.
  void add(LogEntry entry) noexcept;
  void on_fault_event(const observe::FaultEvent& event) noexcept override;

  // For the main thread. The oldest entries are gone from the log afterwards.
  std::vector<LogEntry> drain();
  std::size_t lost() const { return lost_.load(); }  // the ring was full

 private:
  static constexpr std::size_t kCapacity = 1024;
  struct Slot {
    std::atomic<bool> written{false};
    LogEntry entry;
  };

  std::array<Slot, kCapacity> slots_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> oldest_{0};
  std::atomic<std::size_t> lost_{0};
};

}  // namespace weir::cracauer
