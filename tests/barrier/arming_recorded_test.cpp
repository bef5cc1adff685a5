// What the arming policy costs on traces that were recorded from programs:
// tests/data/arming_traces, made as tests/traces/README.md says.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/barrier/arming_costs.hpp"
#include "tests/barrier/arming_model.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::size_t kCycles = 240;

// A line for each page, four cycles to a hexadecimal digit.
std::vector<Trace> read(const std::filesystem::path& path, Write write) {
  std::vector<Trace> traces;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    Trace trace;
    for (const char digit : line) {
      const unsigned four = static_cast<unsigned>(std::stoul(std::string(1, digit), nullptr, 16));
      for (unsigned bit = 8; bit != 0; bit /= 2)
        trace.push_back((four & bit) != 0 ? write : Write::none);
    }
    REQUIRE(trace.size() == kCycles);
    traces.push_back(trace);
  }
  return traces;
}

// In multiples of the optimum.
struct Costs {
  double policy = 0, armed = 0, hot = 0;
};

Costs check(const std::vector<Trace>& traces, const ArmingCosts& costs) {
  Costs all;
  double optimum = 0;
  for (const Trace& trace : traces) {
    const double least = offline_optimum(trace, costs), cost = cost_of(trace, costs);
    CHECK_LE(cost, kBound * least + kTiny);
    all.policy += cost;
    all.armed += cost_of<AlwaysArmed>(trace, costs);
    all.hot += cost_of<AlwaysHot>(trace, costs);
    optimum += least;
  }
  if (optimum == 0) return {1, 1, 1};
  return {all.policy / optimum, all.armed / optimum, all.hot / optimum};
}

}  // namespace

TEST_CASE("traces: recorded from programs") {
  std::size_t programs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_ARMING_TRACES)) {
    CAPTURE(entry.path().string());
    ++programs;
    // What was recorded is writes, not whether a scan would have found a young object there: so
    // both, always and never.
    for (const Write write : {Write::young, Write::silent}) {
      const std::vector<Trace> traces = read(entry.path(), write);
      CHECK(traces.size() == 64);
      for (const NamedCosts& each : all_costs()) {
        CAPTURE(each.name);
        const Costs costs = check(traces, each.costs);
        CHECK_LE(costs.policy, kBound);
        if (each.name == "async" || each.name == "uffd-thread")
          std::printf("arming_policy: recorded %-17s %-6s %-11s %.2f (%.2f, %.2f)\n",
                      entry.path().stem().c_str(), write == Write::young ? "young" : "silent",
                      each.name.c_str(), costs.policy, costs.armed, costs.hot);
      }
    }
  }
  CHECK(programs == 4);
}
