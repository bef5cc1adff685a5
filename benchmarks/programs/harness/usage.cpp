#include "benchmarks/programs/harness/usage.hpp"

#include <sys/resource.h>

#include <cstdio>

#include "benchmarks/programs/harness/utilisation.hpp"

namespace weir::programs {

Usage Usage::now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {static_cast<double>(now_ns()) / 1e9, seconds(usage.ru_utime) + seconds(usage.ru_stime),
          static_cast<std::uint64_t>(usage.ru_minflt), static_cast<std::uint64_t>(usage.ru_majflt)};
}

std::uint64_t peak_rss_bytes() {
  std::FILE* status = std::fopen("/proc/self/status", "re");
  if (status == nullptr) return 0;
  unsigned long long kibibytes = 0;
  char line[256];
  while (std::fgets(line, sizeof line, status) != nullptr)
    if (std::sscanf(line, "VmHWM: %llu kB", &kibibytes) == 1) break;
  std::fclose(status);
  return kibibytes << 10;
}

}  // namespace weir::programs
