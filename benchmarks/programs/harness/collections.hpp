// What a system says of its collections; a system without a collector says nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::programs {

struct Pauses {  // from the stop of the mutators to their resume
  std::uint64_t p50_ns, p99_ns, max_ns;
};

struct Collections {
  std::string barrier;  // the write barrier in use; empty: none, or unknown
  std::uint64_t stopped_ns = 0;
  std::uint64_t count = 0;
  std::optional<std::uint64_t> minor, full;  // nothing: the system does not tell them apart
  std::optional<Pauses> pauses, minor_pauses, full_pauses;
};

// Of lengths in any order.
std::optional<Pauses> summary_of(std::vector<std::uint64_t> lengths_ns);

}  // namespace weir::programs
