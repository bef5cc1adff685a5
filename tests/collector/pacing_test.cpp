#include "runtime/collector/pacing.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "runtime/collector/settings.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::collector;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A heap whose collections cost what a formula says.
struct Model {
  std::size_t live = 8 * kMiB;     // reachable; what else is old is garbage
  double survival = 0;             // of what is allocated, until the next cycle
  double ns_per_old_byte = 0;      // of a minor cycle: what does not depend on the nursery
  double ns_per_young_byte = 0.6;  // of what survives
  double ns_per_full_byte = 0.6;
  double ns_per_allocated_byte = 0.2;  // of the program
  double noise = 0;                    // times are off by up to this part

  test::Random& random;
  Pacing pacing;
  std::size_t old = 8 * kMiB;
  double longest_minor_ns = 0;
  double total_ns = 0;
  std::size_t allocated = 0;
  unsigned minors = 0;
  unsigned fulls = 0;

  Model(const weir_config& config, test::Random& seeded) : random(seeded), pacing(config) {}

  double about(double ns) {
    return ns * (1 + noise * (static_cast<double>(random() % 2001) / 1000 - 1));
  }
  void cycle() {
    Pacing::Cycle cycle;
    cycle.scope = pacing.has_generations() ? pacing.next() : Scope::all;
    cycle.allocated = pacing.budget_bytes();
    cycle.old_before = old;
    const auto survived = static_cast<std::size_t>(static_cast<double>(cycle.allocated) * survival);
    double fixed = 0;
    double ns = 0;
    if (cycle.scope == Scope::young) {
      ++minors;
      old += survived;
      fixed = about(ns_per_old_byte * static_cast<double>(old));
      ns = fixed + about(ns_per_young_byte * static_cast<double>(survived) + 20'000);
      longest_minor_ns = std::max(longest_minor_ns, ns);
    } else {
      ++fulls;
      old = live + survived;
      pacing.reconsider(cycle.allocated, old);
      ns = about(ns_per_full_byte * static_cast<double>(old));
    }
    allocated += cycle.allocated;
    total_ns += ns;
    cycle.mutators_ns =
        static_cast<std::uint64_t>(ns_per_allocated_byte * static_cast<double>(cycle.allocated));
    cycle.fixed_ns = static_cast<std::uint64_t>(fixed);
    cycle.pause_ns = cycle.cost_ns = static_cast<std::uint64_t>(ns);
    cycle.old_after = old;
    pacing.add(cycle);
  }
  void run(unsigned cycles) {
    longest_minor_ns = total_ns = 0;
    allocated = minors = fulls = 0;
    for (unsigned i = 0; i < cycles; ++i) cycle();
  }
};

weir_config defaults() {
  weir_config config = default_config();
  config.maximum_bytes = std::size_t{4} << 30;
  config.growth = 2;
  return config;
}

}  // namespace

TEST_CASE("the nursery grows and shrinks until a minor pause is near its target") {
  test::Random random(test::seed_for("pause target"));
  for (const double survival : {0.02, 0.1, 0.3, 0.6}) {
    CAPTURE(survival);
    Model model(defaults(), random);
    model.live = model.old = 256 * kMiB;
    model.survival = survival;
    model.noise = 0.3;
    model.ns_per_allocated_byte = 10 * survival;  // a minor cycle costs 6 % of that
    model.run(60);
    model.run(200);
    REQUIRE(model.minors > 100);
    // Where the smallest nursery takes longer, it is the smallest; where the greatest does not
    // take so long, the greatest.
    CHECK(model.longest_minor_ns < std::max(2 * 2e6, 1.4 * 4 * kMiB * survival * 0.6 + 5e4));
    CHECK(model.pacing.budget_bytes() >= 4 * kMiB);
    if (survival < 0.05) CHECK(model.pacing.budget_bytes() > 32 * kMiB);
  }
}

TEST_CASE("the nursery is no larger than it takes for minor cycles to cost little") {
  test::Random random(test::seed_for("cheap minor cycles"));
  for (const double share : {0.005, 0.1}) {
    CAPTURE(share);
    Model model(defaults(), random);
    model.live = model.old = 256 * kMiB;
    model.survival = 0.01;
    model.ns_per_allocated_byte = model.survival * model.ns_per_young_byte / share;
    model.run(60);
    const bool is_large = model.pacing.budget_bytes() > 32 * kMiB;
    CHECK(is_large == (share > 0.03));
    if (!is_large) CHECK(model.pacing.budget_bytes() <= 5 * kMiB);
  }
}

TEST_CASE("the nursery leaves half of what may be free, for there may be less") {
  test::Random random(test::seed_for("tight heap"));
  weir_config config = defaults();
  config.minimum_bytes = config.maximum_bytes = 32 * kMiB;
  Model model(config, random);
  model.live = model.old = 16 * kMiB;
  model.survival = 0.001;
  model.ns_per_allocated_byte = 0.05;  // more room would be worth it
  for (unsigned i = 0; i < 50; ++i) {
    model.run(1);
    CHECK(model.pacing.budget_bytes() <= 8 * kMiB);
  }
  CHECK(model.pacing.budget_bytes() > 4 * kMiB);
}

TEST_CASE("a heap that is filled for the first time is collected once, when it is full") {
  test::Random random(test::seed_for("filling"));
  Model model(defaults(), random);
  model.live = model.old = 0;
  model.survival = 0.8;
  model.ns_per_allocated_byte = 5;
  model.run(1);
  CHECK(model.minors == 1);
  CHECK(model.old + model.pacing.budget_bytes() == defaults().minimum_bytes);
  model.run(1);
  CHECK(model.fulls == 1);
  model.run(1);
  CHECK(model.minors == 1);  // and not again
}

TEST_CASE("the full cycle that gives generations up waits until the heap is full") {
  test::Random random(test::seed_for("given up late"));
  Model model(defaults(), random);
  model.survival = 0.6;
  model.run(1);
  model.survival = 0;
  model.run(1);  // what marking costs is known
  REQUIRE(model.fulls == 1);
  model.ns_per_old_byte = 2;
  for (unsigned minors = 0; model.pacing.next() == Scope::young; ++minors) {
    REQUIRE(minors < 20);
    model.run(1);
  }
  CHECK(model.pacing.budget_bytes() == defaults().minimum_bytes - model.old);
  model.run(1);
  CHECK(model.fulls == 1);
  CHECK_FALSE(model.pacing.has_generations());
}

TEST_CASE("generations are given up where full cycles alone cost less, and tried again") {
  test::Random random(test::seed_for("generations given up"));
  Model model(defaults(), random);
  model.live = model.old = 64 * kMiB;
  model.survival = 0.05;
  model.ns_per_old_byte = 0.5;  // as under always-dirty
  model.run(200);
  REQUIRE_FALSE(model.pacing.has_generations());
  model.run(300);
  CHECK(model.minors > 0);  // tried again
  CHECK(model.fulls > model.minors);
  // What it pays for that, beside what full cycles alone would have: little.
  const double cost = model.total_ns / static_cast<double>(model.allocated);
  const double least = 0.6 * 64 * kMiB / static_cast<double>(64 * kMiB);
  CHECK(cost < 1.25 * least);

  model.ns_per_old_byte = 0;  // the program changes
  model.run(400);
  CHECK(model.pacing.has_generations());
  model.run(200);
  CHECK(model.minors > 150);
}

TEST_CASE("a heap that was built without generations has them back as soon as it is used") {
  test::Random random(test::seed_for("building"));
  Model model(defaults(), random);
  model.live = model.old = 16 * kMiB;
  model.survival = 1;
  model.ns_per_young_byte = 2;  // so that full cycles are cheaper
  while (model.pacing.has_generations() || model.old < 128 * kMiB) {
    model.run(1);
    model.live = model.old;
    REQUIRE(model.old < 2048 * kMiB);
  }
  model.survival = 0.01;
  model.live = model.old;
  model.run(1);
  CHECK(model.pacing.has_generations());
  model.ns_per_young_byte = 0.6;
  model.run(20);
  CHECK(model.fulls == 0);

  // Built once more, and used: the same, a few full cycles later.
  model.survival = 1;
  model.ns_per_young_byte = 2;
  while (model.pacing.has_generations()) {
    model.run(1);
    model.live = model.old;
    REQUIRE(model.old < 4096 * kMiB);
  }
  model.survival = 0.01;
  model.run(5);
  CHECK(model.pacing.has_generations());
}

TEST_CASE("a heap whose full cycles keep no more than before is not being built") {
  test::Random random(test::seed_for("settled"));
  Model model(defaults(), random);
  model.live = model.old = 64 * kMiB;
  model.survival = 0.5;  // of minor cycles; dead by the next full one
  model.ns_per_old_byte = 4;
  while (model.pacing.has_generations()) model.run(1);
  model.survival = 0;
  for (unsigned fulls = 0; !model.pacing.has_generations(); ++fulls) {
    REQUIRE(fulls < 100);
    model.run(1);
  }
  model.survival = 0.5;
  model.run(2);  // enough, where they are far more expensive
  CHECK(model.minors == 2);
  model.run(1);
  CHECK_FALSE(model.pacing.has_generations());
}

TEST_CASE(
    "full cycles alone have more room where they take much of the time, a third more at most") {
  test::Random random(test::seed_for("room"));
  weir_config config = defaults();
  config.generations = false;
  for (const auto& [ns_per_allocated_byte, factor] :
       {std::pair{20.0, 1.0}, std::pair{0.6 / 0.12 * 0.88 / 1.2, 1.2}, std::pair{0.1, 4.0 / 3}}) {
    CAPTURE(ns_per_allocated_byte);
    Model model(config, random);
    model.live = model.old = 64 * kMiB;
    model.ns_per_allocated_byte = ns_per_allocated_byte;
    model.run(20);
    const double room = static_cast<double>(model.pacing.budget_bytes()) / (64 * kMiB);
    CHECK(room == doctest::Approx(factor).epsilon(0.05));
  }
}

TEST_CASE("a program that does more than allocate keeps its generations") {
  test::Random random(test::seed_for("generations kept"));
  Model model(defaults(), random);
  model.live = model.old = 64 * kMiB;
  model.survival = 0.05;
  model.ns_per_old_byte = 0.2;
  model.run(200);
  REQUIRE_FALSE(model.pacing.has_generations());
  Model busy(defaults(), random);
  busy.live = busy.old = 64 * kMiB;
  busy.survival = 0.05;
  busy.ns_per_old_byte = 0.2;
  busy.ns_per_allocated_byte = 10;
  busy.run(200);
  CHECK(busy.pacing.has_generations());
}

TEST_CASE("where full cycles are short, generations have to win, though the program does more") {
  test::Random random(test::seed_for("short full cycles"));
  for (const std::size_t live : {2 * kMiB, 64 * kMiB}) {
    CAPTURE(live);
    Model model(defaults(), random);
    model.live = model.old = live;
    model.survival = 0.02;
    model.ns_per_allocated_byte = 10;
    model.ns_per_old_byte = 1e6 / static_cast<double>(live);
    model.run(300);
    CHECK(model.pacing.has_generations() == (live > 2 * kMiB));
  }
}

TEST_CASE("generations whose minor cycles take as long as full ones have to win, too") {
  test::Random random(test::seed_for("long minor cycles"));
  for (const double of_full : {0.5, 1.2}) {
    CAPTURE(of_full);
    Model model(defaults(), random);
    model.live = model.old = 64 * kMiB;
    model.survival = 0.02;
    model.ns_per_allocated_byte = 100;
    model.ns_per_old_byte = of_full * model.ns_per_full_byte;
    model.run(300);
    CHECK(model.pacing.has_generations() == (of_full < 1));
  }
}

TEST_CASE("a full cycle that is short and costs little comes before the heap has grown") {
  test::Random random(test::seed_for("cheap full cycles"));
  const auto most_old = [&](std::size_t live, double ns_per_allocated_byte) {
    Model model(defaults(), random);
    model.live = model.old = live;
    model.survival = 0.05;
    model.ns_per_young_byte = 0;  // generations win
    model.ns_per_allocated_byte = ns_per_allocated_byte;
    std::size_t most = 0;
    for (unsigned i = 0; i < 2000; ++i) {
      model.run(1);
      REQUIRE(model.pacing.has_generations());
      most = std::max(most, model.old);
    }
    return most;
  };
  CHECK(most_old(2 * kMiB, 100) < 12 * kMiB);  // of 24
  CHECK(most_old(2 * kMiB, 0.2) > 20 * kMiB);
  CHECK(most_old(256 * kMiB, 100) > 500 * kMiB);
}

TEST_CASE("where minor cycles pay, there are no others but those that growth asks for") {
  test::Random random(test::seed_for("generations pay"));
  Model model(defaults(), random);
  model.live = model.old = 256 * kMiB;
  model.survival = 0.01;
  model.noise = 0.5;
  model.run(1000);
  CHECK(model.pacing.has_generations());
  CHECK(model.fulls <= 1 + model.allocated / 100 / (200 * kMiB));
}

TEST_CASE("cycles that somebody asks for do not count") {
  test::Random random(test::seed_for("requested cycles"));
  Pacing pacing(defaults());
  const std::size_t nursery = pacing.budget_bytes();
  pacing.add({.scope = Scope::all, .pause_ns = 1000, .cost_ns = 1000, .old_after = kMiB});
  for (int i = 0; i < 100; ++i)
    pacing.add({.scope = Scope::young,
                .pause_ns = 100'000'000,
                .cost_ns = 100'000'000,
                .allocated = 1000,
                .old_before = kMiB,
                .old_after = kMiB});
  CHECK(pacing.has_generations());
  CHECK(pacing.wants_generations());
  CHECK(pacing.budget_bytes() == nursery);
}

TEST_CASE("a deterministic heap asks no clock") {
  test::Random random(test::seed_for("deterministic pacing"));
  weir_config config = defaults();
  config.deterministic = true;
  std::size_t budgets[2] = {};
  unsigned fulls[2] = {};
  for (int run = 0; run < 2; ++run) {
    Model model(config, random);
    model.survival = 0.2;
    model.ns_per_old_byte = run * 1.0;
    model.run(300);
    budgets[run] = model.pacing.budget_bytes();
    fulls[run] = model.fulls;
  }
  CHECK(budgets[0] == budgets[1]);
  CHECK(fulls[0] == fulls[1]);
}
