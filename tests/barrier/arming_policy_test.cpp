#include "runtime/barrier/arming_policy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/barrier/arming_model.hpp"
#include "tests/barrier/arming_traces.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::barrier;
using namespace weir::test;

namespace {

constexpr double kBound = 3;
constexpr double kTiny = 1e-3;  // nanoseconds, for sums of doubles

struct NamedCosts {
  std::string name;
  ArmingCosts costs;
};

// Every barrier, and scans that are cheap or dear.
std::vector<NamedCosts> all_costs() {
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

const ArmingCosts kAsync = starting_costs(BarrierKind::async);
const ArmingCosts kThread = starting_costs(BarrierKind::uffd_thread);

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
