// The costs that the arming policy is tested with, and the bound that it promises.
#pragma once

#include <string>
#include <vector>

#include "runtime/barrier/arming_policy.hpp"

namespace weir::test {

using barrier::ArmingCosts;
using barrier::starting_costs;

inline constexpr double kBound = 3;
inline constexpr double kTiny = 1e-3;  // nanoseconds, for sums of doubles

inline const ArmingCosts kAsync = starting_costs(BarrierKind::async);
inline const ArmingCosts kThread = starting_costs(BarrierKind::uffd_thread);

struct NamedCosts {
  std::string name;
  ArmingCosts costs;
};

// Every barrier, and scans that are cheap or dear.
inline std::vector<NamedCosts> all_costs() {
  std::vector<NamedCosts> all = {
      {"async", starting_costs(BarrierKind::async)},
      {"uffd-thread", starting_costs(BarrierKind::uffd_thread)},
      {"uffd-sigbus", starting_costs(BarrierKind::uffd_sigbus)},
      {"mprotect", starting_costs(BarrierKind::mprotect)},
      {"soft-dirty", starting_costs(BarrierKind::soft_dirty)},
      {"cards", starting_costs(BarrierKind::cards)},
      {"always-dirty", starting_costs(BarrierKind::always_dirty)},
  };
  all.push_back({"async, scan in cache", {.trap = 1500, .rearm = 200, .scan = 300}});
  all.push_back({"async, dear scan", {.trap = 1500, .rearm = 200, .scan = 7000}});
  all.push_back({"thread woken", {.trap = 60000, .rearm = 250, .scan = 3000}});
  all.push_back({"thread woken, scan in cache", {.trap = 60000, .rearm = 250, .scan = 300}});
  all.push_back({"mprotect, scan in cache", {.trap = 14000, .rearm = 250, .scan = 500}});
  return all;
}

}  // namespace weir::test
