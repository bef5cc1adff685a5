#include "runtime/barrier/arming_policy.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <thread>
#include <vector>

#include "tests/barrier/arming_costs.hpp"

using namespace weir;
using namespace weir::barrier;
using namespace weir::test;

namespace {

struct OnePage {
  std::uint8_t table[1] = {};
  ArmingCosts costs;
  ArmingPolicy policy;
  explicit OnePage(const ArmingCosts& c) : costs(c), policy(table, c) {}

  void skip(unsigned cycles) {
    for (; cycles > 0; --cycles) policy.begin_cycle(costs);
  }
  PageVerdict dirty() {
    skip(1);
    return policy.after_dirty_scan(PageIndex{0});
  }
  PageVerdict hot(bool found) {
    skip(1);
    return policy.after_hot_scan(PageIndex{0}, found);
  }
  // Writes in each cycle until the page is hot; the number of traps.
  unsigned heat() {
    unsigned traps = 1;
    while (dirty() == PageVerdict::rearm) ++traps;
    return traps;
  }
  // Quiet scans until it is armed again.
  unsigned cool() {
    unsigned scans = 1;
    while (hot(false) == PageVerdict::keep_hot) ++scans;
    return scans;
  }
};

}  // namespace

TEST_CASE("the fraction of dirty cycles above which hot pays is S/(S+T+R)") {
  CHECK_EQ(ArmingLimits(kAsync).hot_fraction(), doctest::Approx(3000.0 / 4700));
  CHECK(ArmingLimits(kAsync).hot_pays);
  CHECK_FALSE(ArmingLimits(starting_costs(BarrierKind::cards)).hot_pays);
  CHECK_FALSE(ArmingLimits(starting_costs(BarrierKind::always_dirty)).hot_pays);
}

TEST_CASE("limits are sane for any costs") {
  for (double trap = 0; trap < 1e7; trap = trap * 1.7 + 1) {
    for (double scan = 0; scan < 1e6; scan = scan * 3 + 1) {
      const ArmingLimits limits({.trap = trap, .rearm = 100, .scan = scan});
      REQUIRE_GE(limits.loss, 1);
      REQUIRE_LE(limits.gain + limits.loss, 126);
      REQUIRE_GE(limits.first_quiet, 1u);
      REQUIRE_LE(limits.first_quiet, limits.longest_quiet);
    }
  }
}

TEST_CASE("a page that is always written goes hot and stays so") {
  OnePage async(kAsync);
  CHECK_EQ(async.heat(), 3);
  for (int i = 0; i < 1000; ++i) REQUIRE_EQ(async.hot(true), PageVerdict::keep_hot);
  CHECK(async.policy.is_hot(PageIndex{0}));
  OnePage thread(kThread);
  CHECK_EQ(thread.heat(), 2);
}

TEST_CASE("a page that is seldom written is armed again at once") {
  for (unsigned pause = 6; pause < 32; ++pause) {
    OnePage page(kThread);
    for (int i = 0; i < 100; ++i) {
      REQUIRE_EQ(page.dirty(), PageVerdict::rearm);
      page.skip(pause);
    }
    CHECK_EQ(page.policy.counters().rearmed_at_once, 100);
    CHECK_EQ(page.policy.counters().hot_pages, 0);
  }
}

TEST_CASE("quiet scans arm a hot page again; in vain, and it may be quiet for longer") {
  for (const ArmingCosts& costs : {kAsync, kThread}) {
    OnePage page(costs);
    const ArmingLimits& limits = page.policy.limits();
    page.heat();
    CHECK_EQ(page.cool(), limits.first_quiet);
    CHECK_EQ(page.heat(), 1);
    CHECK_EQ(page.cool(), limits.longest_quiet);
    CHECK_EQ(page.policy.counters().went_hot_again, 1);
    CHECK_EQ(page.policy.counters().rearmed_quiet, 2);

    // Not in vain: the next write, long after, is no reason to go hot.
    page.skip(20);
    CHECK_EQ(page.dirty(), PageVerdict::rearm);
  }
}

TEST_CASE("scans that find young objects buy patience") {
  OnePage page(kAsync);
  page.heat();
  for (int i = 0; i < 10; ++i) page.hot(true);
  CHECK_EQ(page.cool(), page.policy.limits().longest_quiet);
}

TEST_CASE("forgotten pages have no past, and are counted") {
  std::vector<std::uint8_t> table(8);
  ArmingPolicy policy(table, kThread);
  for (int i = 0; i < 2; ++i) {
    policy.begin_cycle(kThread);
    for (std::size_t page = 0; page < table.size(); ++page) {
      policy.after_dirty_scan(PageIndex{page});
    }
  }
  CHECK_EQ(policy.counters().hot_pages, 8);
  policy.forget(PageIndex{2}, 3);
  CHECK_EQ(policy.counters().hot_pages, 5);
  CHECK_EQ(policy.counters().forgotten_hot, 3);
  CHECK(policy.is_hot(PageIndex{1}));
  CHECK_FALSE(policy.is_hot(PageIndex{2}));
  CHECK_FALSE(policy.is_hot(PageIndex{4}));
  CHECK(policy.is_hot(PageIndex{5}));
  policy.begin_cycle(kThread);
  CHECK_EQ(policy.after_dirty_scan(PageIndex{2}), PageVerdict::rearm);
}

TEST_CASE("threads that decide about pages of their own") {
  constexpr std::size_t kThreads = 4, kPages = 1000;
  std::vector<std::uint8_t> table(kThreads * kPages);
  ArmingPolicy policy(table, kThread);
  for (int cycle = 0; cycle < 10; ++cycle) {
    policy.begin_cycle(kThread);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&policy, thread] {
        for (std::size_t i = thread; i < kThreads * kPages; i += kThreads) {
          const PageIndex page{i};
          policy.is_hot(page) ? policy.after_hot_scan(page, true) : policy.after_dirty_scan(page);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK_EQ(policy.counters().hot_pages, kThreads * kPages);
  CHECK_EQ(policy.counters().rearmed_at_once, kThreads * kPages);
}

TEST_CASE("costs that change: hot pages are armed again when hot no longer pays") {
  OnePage page(kThread);
  page.heat();
  page.costs = starting_costs(BarrierKind::cards);
  CHECK_EQ(page.hot(true), PageVerdict::rearm);
}

TEST_CASE("the cost meter follows the costs, not the outliers") {
  CostMeter meter(kAsync);
  CHECK_EQ(meter.costs().trap, 1500);
  for (int i = 0; i < 100; ++i) meter.observe_scans(50 * 800.0, 50);
  CHECK_EQ(meter.costs().scan, doctest::Approx(800).epsilon(0.01));
  CHECK_EQ(meter.costs().trap, 1500);

  meter.observe_scans(1e9, 1);  // a page of swap, a preemption
  CHECK_LT(meter.costs().scan, 800 * 1.5);
  meter.observe_scans(0, 1000);
  CHECK_GT(meter.costs().scan, 800 * 0.8);

  const double before = meter.costs().rearm;
  meter.observe_rearms(5, 0);
  meter.observe_rearms(-5, 1);
  meter.observe_rearms(std::numeric_limits<double>::quiet_NaN(), 1);
  meter.observe_rearms(std::numeric_limits<double>::infinity(), 1);
  CHECK_EQ(meter.costs().rearm, before);

  CostMeter from_zero(starting_costs(BarrierKind::always_dirty));
  for (int i = 0; i < 200; ++i) from_zero.observe_traps(1500, 1);
  CHECK_EQ(from_zero.costs().trap, doctest::Approx(1500).epsilon(0.01));
}
