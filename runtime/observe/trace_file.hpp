// The file of WEIR_TRACE, in the Trace Event Format that Perfetto and chrome://tracing read: a JSON
// array of events, shared by all heaps of the process.
//
// The file is whole JSON after every addition: each begins on the closing bracket of the one before
// and ends with a new one, by one pwrite(2). So nothing has to be done when the process ends,
// however it ends; cut short in the middle of a pwrite the file lacks the bracket, which the
// readers forgive.
//
// Nothing here allocates once it is open. A forked child writes nothing: the file is its parent's.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <weir/memory_fd.hpp>

#include "runtime/observe/cycle.hpp"
#include "runtime/observe/event_writer.hpp"
#include "runtime/os/text_buffer.hpp"

namespace weir::observe {

class TraceFile {
 public:
  static constexpr std::size_t kLargestRing = 4096;

  // The process's trace at this path, begun anew by the first heap that asks, and open until the
  // process ends. "%p" in the path stands for the process id. An error when it cannot be written
  // there, or another process is writing it. Any thread.
  static Expected<TraceFile*> open(std::string_view path);

  // Around a fork(2), so that the child can open a trace of its own.
  static void before_fork();
  static void after_fork();

  // These three lock: not in a pause of a heap that traces. Any thread.
  void add(EventWriter& writer);
  // With what it still has.
  void remove(EventWriter& writer);
  // The cycle, and what all writers of its heap have.
  void add_cycle(const CycleSummary& cycle);

 private:
  TraceFile(std::string path, int fd);
  static Expected<TraceFile*> create(std::string path);

  bool is_ours() const;
  void drain(EventWriter& writer);
  void show_lost(EventWriter& writer);
  // Begins the JSON object of an event, which end_event ends; `type` is the format's letter.
  void begin_event(char type, std::string_view name);
  void begin_event(char type, std::string_view name, EventWriter& writer);
  void end_event();
  void add_time(std::string_view key, std::uint64_t ns);
  void add_thread_name(EventWriter& writer);
  void add_cycle_span(const CycleSummary& cycle, EventWriter& collector);
  void add_event(const Event& event, EventWriter& writer);
  int write_text();  // 0 or errno
  void flush();

  const std::string path_;
  MemoryFd fd_;  // empty after a write failed
  const pid_t process_;
  const std::uint64_t origin_ns_;  // the trace's time 0
  TraceFile* next_ = nullptr;      // of the process's trace files

  std::mutex lock_;
  EventWriter* writers_ = nullptr;
  std::uint64_t threads_ = 0;
  std::uint64_t end_ = 0;  // where the closing bracket's line begins
  std::array<Event, kLargestRing> drained_{};
  std::array<char, 64 << 10> memory_;
  os::TextBuffer text_{memory_};  // what the file does not have yet
};

}  // namespace weir::observe
