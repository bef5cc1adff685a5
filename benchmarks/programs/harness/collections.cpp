#include "benchmarks/programs/harness/collections.hpp"

#include <algorithm>

namespace weir::programs {

std::optional<Pauses> summary_of(std::vector<std::uint64_t> lengths_ns) {
  if (lengths_ns.empty()) return std::nullopt;
  std::ranges::sort(lengths_ns);
  const std::size_t count = lengths_ns.size();
  return Pauses{lengths_ns[count / 2], lengths_ns[std::min(count - 1, count * 99 / 100)],
                lengths_ns.back()};
}

}  // namespace weir::programs
