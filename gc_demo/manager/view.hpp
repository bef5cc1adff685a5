// The run as a person sees it: on a terminal a line for each process, redrawn in place; elsewhere a
// line for each thing that happens. At the end a table.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "gc_demo/manager/report.hpp"
#include "gc_demo/shared/terminal.hpp"

namespace weir::manager {

class View {
 public:
  explicit View(bool silent) : silent_(silent) {}

  void on_start(const Report& report);
  void on_event(const Served& process, const std::string& what);
  void draw(const std::vector<Served*>& processes);
  void on_end(const Report& report, const std::vector<Served*>& processes);

 private:
  struct Seen {
    std::size_t faults = 0;
    double per_second = 0;
  };

  std::string line_for(const Served& process, double seconds);
  std::string bar_of(const Served& process) const;
  void table(const std::vector<Served*>& processes);

  using Clock = std::chrono::steady_clock;
  const bool silent_;
  demo::Terminal terminal_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point drawn_;
  std::map<const Served*, Seen> seen_;
};

}  // namespace weir::manager
