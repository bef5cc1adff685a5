// What the arming policy costs on traces of writes: patterns, programs, chance, and an adversary.
#include "tests/barrier/arming_traces.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "tests/barrier/arming_costs.hpp"
#include "tests/barrier/arming_model.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::barrier;
using namespace weir::test;

namespace {

// What the traces of one class cost, in total and for the worst page; printed when it ends.
class ClassOfTraces {
 public:
  explicit ClassOfTraces(const char* name) : name_(name) {}
  ~ClassOfTraces() {
    std::printf("arming_policy: %-28s worst page %.2f, worst total %.2f of the optimum\n", name_,
                worst_page_, worst_total_);
  }
  ClassOfTraces(const ClassOfTraces&) = delete;
  ClassOfTraces& operator=(const ClassOfTraces&) = delete;

  void check(const PageTraces& traces, const ArmingCosts& costs) {
    double total = 0, total_optimum = 0;
    for (const Trace& trace : traces) {
      const double cost = cost_of(trace, costs), optimum = offline_optimum(trace, costs);
      CHECK_LE(cost, kBound * optimum + kTiny);
      if (optimum > 0) worst_page_ = std::max(worst_page_, cost / optimum);
      total += cost;
      total_optimum += optimum;
    }
    if (total_optimum > 0) worst_total_ = std::max(worst_total_, total / total_optimum);
  }
  void check(const Trace& trace, const ArmingCosts& costs) { check(PageTraces{trace}, costs); }

 private:
  const char* name_;
  double worst_page_ = 0, worst_total_ = 0;
};

}  // namespace

TEST_CASE("traces: patterns") {
  constexpr std::size_t kCycles = 2000;
  ClassOfTraces always("always written"), never("never written"), alternating("alternating"),
      regular("bursts, pauses of 1 to 40"), silent("bursts of silent writes");
  for (const NamedCosts& each : all_costs()) {
    always.check(repeated({Write::young}, kCycles), each.costs);
    never.check(repeated({Write::none}, kCycles), each.costs);
    alternating.check(repeated({Write::young, Write::none}, kCycles), each.costs);
    for (std::size_t burst = 1; burst <= 40; ++burst) {
      for (std::size_t pause = 1; pause <= 40; ++pause) {
        regular.check(bursts(burst, pause, Write::young, kCycles), each.costs);
        silent.check(bursts(burst, pause, Write::silent, kCycles), each.costs);
      }
    }
  }
}

TEST_CASE("traces: at random") {
  const std::size_t cycles = scaled(20000);
  Random random(seed_for("arming_policy: traces at random"));
  ClassOfTraces independent("Bernoulli 0.01 to 0.99"), some_silent("Bernoulli, half silent"),
      all_silent("Bernoulli, all silent"), modulated("busy and idle phases");
  for (const NamedCosts& each : all_costs()) {
    for (int percent = 1; percent <= 99; percent += 2) {
      const double p = percent / 100.0;
      independent.check(bernoulli(random, p, 0, cycles), each.costs);
      some_silent.check(bernoulli(random, p, 0.5, cycles), each.costs);
      all_silent.check(bernoulli(random, p, 1, cycles), each.costs);
    }
    for (const double mean : {2.0, 5.0, 20.0, 100.0}) {
      for (const double busy : {0.5, 0.9, 1.0}) {
        modulated.check(phases(random, busy, 0.02, mean, cycles), each.costs);
      }
    }
  }
}

TEST_CASE("traces: programs") {
  const std::size_t cycles = scaled(500);
  Random random(seed_for("arming_policy: programs"));
  ClassOfTraces popular("Zipf over pages"), cache("LRU cache"), table("growing hash table"),
      ring("queue"), flags("counters and flags");
  for (const NamedCosts& each : all_costs()) {
    for (const std::size_t stores : {30, 300, 3000}) {
      popular.check(zipf(random, 200, stores, 1.0, cycles), each.costs);
      cache.check(lru_cache(random, stores, cycles), each.costs);
      table.check(growing_hash_table(random, stores, cycles), each.costs);
      ring.check(queue(random, stores, cycles), each.costs);
      flags.check(counters(random, stores, cycles), each.costs);
    }
  }
}

TEST_CASE("traces: near the better of always armed and always hot") {
  // The table in docs/arming-policy.md; the same seed in every run.
  constexpr std::size_t kCycles = 400, kLong = 20000;
  for (const ArmingCosts& costs : {kAsync, kThread}) {
    Random random(42);
    const std::vector<std::pair<const char*, PageTraces>> rows = {
        {"p = 0.1", {bernoulli(random, 0.1, 0.3, kLong)}},
        {"p = 0.5", {bernoulli(random, 0.5, 0.3, kLong)}},
        {"p = 0.95", {bernoulli(random, 0.95, 0.3, kLong)}},
        {"p = 0.9, never a young pointer", {bernoulli(random, 0.9, 1, kLong)}},
        {"LRU cache", lru_cache(random, 100, kCycles)},
        {"hash table that grows", growing_hash_table(random, 100, kCycles)},
        {"ring buffer", queue(random, 100, kCycles)},
        {"counters and flags", counters(random, 100, kCycles)},
        {"Zipf over 200 pages", zipf(random, 200, 100, 1, kCycles)},
    };
    for (const auto& [name, traces] : rows) {
      double cost = 0, armed = 0, hot = 0, optimum = 0;
      for (const Trace& trace : traces) {
        cost += cost_of(trace, costs);
        armed += cost_of<AlwaysArmed>(trace, costs);
        hot += cost_of<AlwaysHot>(trace, costs);
        optimum += offline_optimum(trace, costs);
      }
      std::printf("arming_policy: %-32s %.2f (%.2f, %.2f)\n", name, cost / optimum, armed / optimum,
                  hot / optimum);
      // The silent page is the worst of them: armed in vain after every longest_quiet scans.
      const ArmingLimits limits(costs);
      const double in_vain = 1 + limits.break_even / (1 + limits.longest_quiet);
      CHECK_LE(cost, std::max(1.3, in_vain) * std::min(armed, hot));
    }
  }
}

TEST_CASE("traces: an adversary that sees the state of the page") {
  const std::size_t cycles = scaled(20000);
  Random random(seed_for("arming_policy: adversary"));
  ClassOfTraces cruel("written iff armed"), noisy("written iff armed, 9 in 10");
  for (const NamedCosts& each : all_costs()) {
    for (const double obeys : {1.0, 0.9}) {
      for (const Write other : {Write::young, Write::silent}) {
        Tested decide(each.costs);
        Page page(decide);
        Trace trace;
        for (std::size_t t = 0; t < cycles; ++t) {
          const bool hurts = chance(random, obeys);
          const bool written = (page.state() == Arming::armed) == hurts;
          trace.push_back(written ? other : Write::none);
          page.cycle(trace.back(), each.costs);
        }
        (obeys == 1 ? cruel : noisy).check(trace, each.costs);
      }
    }
  }
}

TEST_CASE("traces: costs that change on the way") {
  const std::size_t cycles = scaled(20000);
  Random random(seed_for("arming_policy: changing costs"));
  double worst = 0;
  const std::vector<NamedCosts> all = all_costs();
  for (int percent = 1; percent <= 99; percent += 2) {
    for (const std::size_t phase : {10, 100, 1000}) {
      std::vector<ArmingCosts> costs;
      while (costs.size() < cycles) {
        costs.insert(costs.end(), phase, all[below(random, all.size())].costs);
      }
      const Trace trace = bernoulli(random, percent / 100.0, 0.2, cycles);
      const double ratio = cost_of<Tested>(trace, costs) / offline_optimum(trace, costs);
      CHECK_LE(ratio, kBound);
      worst = std::max(worst, ratio);
    }
  }
  std::printf("arming_policy: costs change every 10 to 1000 cycles: worst page %.2f\n", worst);
}
