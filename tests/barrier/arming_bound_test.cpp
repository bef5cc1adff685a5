// The bound of the arming policy, on every trace that there can be; and that the search for the
// worst one, and the optimum that it is measured by, can be relied on.
#include <doctest/doctest.h>

#include <cstdio>

#include "tests/barrier/arming_costs.hpp"
#include "tests/barrier/arming_model.hpp"
#include "tests/barrier/arming_traces.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::barrier;
using namespace weir::test;

namespace {

// What the adversary does that sees the state of the page.
template <class Decide>
Trace written_iff_armed(const ArmingCosts& costs, std::size_t cycles) {
  Decide decide(costs);
  Page page(decide);
  Trace trace;
  for (std::size_t t = 0; t < cycles; ++t) {
    trace.push_back(page.state() == Arming::armed ? Write::young : Write::none);
    page.cycle(trace.back(), costs);
  }
  return trace;
}

}  // namespace

TEST_CASE("the offline optimum is right on traces done by hand") {
  const ArmingCosts c{.trap = 10, .rearm = 2, .scan = 5};
  const Write y = Write::young, n = Write::none;
  CHECK_EQ(offline_optimum({n, n, n}, c), 0);
  CHECK_EQ(offline_optimum({y}, c), 15);                    // ends hot
  CHECK_EQ(offline_optimum({y, y}, c), 20);                 // hot
  CHECK_EQ(offline_optimum({y, n, n, y}, c), 30);           // hot through a gap of two
  CHECK_EQ(offline_optimum({y, n, n, n, n, y}, c), 32);     // armed over one of four
  CHECK_EQ(offline_optimum({y, n, n, n, n, n, n}, c), 17);  // armed at the end
}

TEST_CASE("exact worst case: at most 3 times the optimum on every trace, for every page") {
  // All traces at once, also those whose silent writes look clean while the page is hot.
  for (const NamedCosts& each : all_costs()) {
    const WorstCase worst(each.costs);
    const auto constant = worst.additive_constant(kBound);
    REQUIRE_MESSAGE(constant.has_value(), each.name);
    CHECK_LT(*constant, kTiny);
    std::printf("arming_policy: %-28s (T+R)/S %5.2f, exact worst case %.2f\n", each.name.c_str(),
                ArmingLimits(each.costs).break_even, worst.ratio());
  }
  // For any ratio of the costs; where T < R the first arming may lose up to T + R.
  const std::size_t steps = scaled(200);
  for (const double trap_share : {0.0, 0.5, 0.9}) {
    for (std::size_t i = 0; i <= steps; ++i) {
      // Denser where break-even is small.
      const double at = static_cast<double>(i) / static_cast<double>(steps);
      const double both = 1000 * 250 * at * at * at;
      const WorstCase worst(
          {.trap = trap_share * both, .rearm = (1 - trap_share) * both, .scan = 1000});
      const auto constant = worst.additive_constant(kBound);
      REQUIRE_MESSAGE(constant.has_value(), "(T+R)/S = " << both / 1000);
      REQUIRE_LE(*constant, trap_share >= 0.5 ? kTiny : both + kTiny);
    }
  }
}

TEST_CASE("the search for the worst case finds it: always armed costs 1 + (T+R)/S") {
  // Told that traps are free, the policy never leaves a page unarmed.
  const WorstCase always_armed({.trap = 0, .rearm = 0, .scan = 3000}, kThread);
  CHECK_FALSE(always_armed.additive_constant(kBound).has_value());
  CHECK_EQ(always_armed.ratio(8),
           doctest::Approx(1 + ArmingLimits(kThread).break_even).epsilon(0.01));
}

TEST_CASE("costs believed wrong by a factor of 2 cost a factor of 2 at most") {
  for (const BarrierKind kind : {BarrierKind::async, BarrierKind::uffd_thread}) {
    const ArmingCosts real = starting_costs(kind);
    for (const double factor : {0.5, 2.0}) {
      ArmingCosts believed = real;
      believed.scan *= factor;
      const double ratio = WorstCase(believed, real).ratio(8);
      std::printf("arming_policy: (T+R)/S %.2f, scan believed %.1f of real: worst case %.2f\n",
                  ArmingLimits(real).break_even, factor, ratio);
      CHECK_LE(ratio, 2 * kBound);
    }
  }
}

TEST_CASE("policies that do not learn, or learn without a limit, exceed the bound") {
  const Trace always = repeated({Write::young}, 1000), once = bursts(1, 999, Write::young, 1000);
  CHECK_GT(cost_of<AlwaysArmed>(always, kThread), kBound * offline_optimum(always, kThread));
  CHECK_GT(cost_of<AlwaysHot>(once, kAsync), kBound * offline_optimum(once, kAsync));
  const Trace cruel = written_iff_armed<DoublingWithoutLimit>(kAsync, 1000);
  CHECK_GT(cost_of<DoublingWithoutLimit>(cruel, kAsync), kBound * offline_optimum(cruel, kAsync));
}
