// A bar on standard error, redrawn in place, where that is a terminal; nothing elsewhere. It goes
// when all is done, or when it ends before that: what is said next has the line to itself. One
// thread; it only calls write(2), so it may be drawn while a world is stopped.
#pragma once

#include <cstdint>

namespace weir::support {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void show(std::uint64_t done, std::uint64_t all);

 private:
  const bool is_live_;
  unsigned shown_ = 100;  // percent; 100: there is none
};

}  // namespace weir::support
