// What there was, as it is shown and written at the end.
#pragma once

#include <string>
#include <vector>

#include "gc_demo/manager/options.hpp"
#include "gc_demo/manager/served.hpp"
#include "runtime/faults/fault_server.hpp"

namespace weir::manager {

struct Idle {
  double cpu_milliseconds = 0;  // of the whole manager
  std::size_t wakeups = 0;      // of the handler thread, by a message
  std::size_t rounds = 0;       // of the handler thread, altogether
};

// Clusters of the image that is served.
struct Inflation {
  std::size_t clusters = 0;
  std::size_t inflated = 0;  // how often one was
};

struct Report {
  Options options;
  bool user_mode_only = false;
  bool follows_forks = false;  // the clients' descriptors have the fork event
  double seconds_to_all = 0;   // until everything was there
  Idle idle;
  Inflation image;
  faults::ServerCounters server;
  std::size_t spaces_left = 0;  // descriptors that the server still has at the end
  std::vector<std::string> differences;
};

// Compares what a process has, was sent and has said with what it should. Appends to `differences`.
void verify(const Served& process, const Report& report, std::vector<std::string>& differences);
void verify(const Report& report, std::vector<std::string>& differences);

std::string to_json(const Report& report, const std::vector<Served*>& processes);

}  // namespace weir::manager
