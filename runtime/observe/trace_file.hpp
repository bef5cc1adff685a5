// The file of WEIR_TRACE, in the Trace Event Format that Perfetto and chrome://tracing read: a JSON
// array of events, shared by all heaps of the process.
//
// The file is whole JSON after every addition: each is one pwrite(2) that begins on the closing
// bracket of the one before and ends with a new one. So nothing has to be done when the process
// ends, however it ends; cut short in the middle of a pwrite it lacks the bracket, which the
// readers forgive.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "runtime/observe/cycle.hpp"
#include "runtime/observe/event_writer.hpp"
#include "runtime/os/off_heap.hpp"
#include "runtime/os/text_buffer.hpp"

namespace weir::observe {

class TraceFile {
 public:
  // The process's trace at this path, begun anew by the first heap that asks. "%p" in the path
  // stands for the process id. An error when it cannot be written there, or another process is
  // writing it.
  static Expected<TraceFile*> open(std::string_view path);

  // Not in a pause of a heap that traces into this file: they lock. Any thread.
  void add(EventWriter& writer);
  void remove(EventWriter& writer);
  // Everything that the writers of this cycle's heap have; returns how many events were lost since
  // the last time.
  std::uint64_t add_cycle(const CycleSummary& cycle);
  // By all writers of a heap since its creation.
  std::uint64_t lost(std::uint64_t heap);
};

}  // namespace weir::observe
