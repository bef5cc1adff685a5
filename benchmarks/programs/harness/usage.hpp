// What the process has used so far, of all its threads.
#pragma once

#include <cstdint>

namespace weir::programs {

struct Usage {
  double seconds, cpu_seconds;  // since some point; since the process began
  std::uint64_t minor_faults, major_faults;

  static Usage now();
  friend Usage operator-(const Usage& to, const Usage& from) {
    return {to.seconds - from.seconds, to.cpu_seconds - from.cpu_seconds,
            to.minor_faults - from.minor_faults, to.major_faults - from.major_faults};
  }
};

// The most memory that was resident at once: VmHWM. 0: /proc does not say.
std::uint64_t peak_rss_bytes();

}  // namespace weir::programs
