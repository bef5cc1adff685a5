// A bar on standard error, redrawn in place, where that is a terminal; nothing elsewhere. It goes
// when all is done. One thread; it only calls write(2), so it may be drawn while a world is
// stopped.
#pragma once

#include <cstdint>

namespace weir::support {

class ProgressBar {
 public:
  ProgressBar();
  void show(std::uint64_t done, std::uint64_t all);

 private:
  const bool is_live_;
  unsigned shown_ = ~0u;  // percent
};

}  // namespace weir::support
