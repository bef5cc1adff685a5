#include "runtime/collector/finalizers.hpp"
#include "tests/collector/table_rig.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::collector;

namespace {

void call(weir_mutator*, void*, void*) {}

std::vector<Address> take_all_due(Finalizers& table) {
  std::vector<Address> due;
  while (const auto next = table.take_due()) {
    due.push_back(next->object);
    table.done(next->object);
  }
  return due;
}

}  // namespace

TEST_CASE("a minor cycle looks at the young finalizers only") {
  constexpr std::size_t kOld = 1'000'000;
  constexpr std::size_t kYoung = 5;
  test::TableRig rig(kOld + kYoung);
  Finalizers table;
  for (std::size_t i = 0; i < kOld; ++i) {
    REQUIRE(table.set(rig[i], call, nullptr));
    rig.mark(rig[i]);
  }
  CHECK_FALSE(table.find_dead(rig.space(), rig.marker(), Scope::all));

  for (std::size_t i = kOld; i < rig.size(); ++i) REQUIRE(table.set(rig[i], call, nullptr));
  // As few as are left then, the table is worth compacting; but not in a minor cycle.
  for (std::size_t i = 1; i < kOld; ++i) REQUIRE(table.set(rig[i], nullptr, nullptr));
  rig.begin_cycle();  // all would be due
  rig.mark(rig[kOld]);
  CHECK(table.find_dead(rig.space(), rig.marker(), Scope::young));
  CHECK(table.due() == kYoung - 1);
  CHECK(rig.handed_over().size() == kYoung - 1);
  const auto due = take_all_due(table);
  CHECK(std::ranges::is_sorted(due));
  CHECK(due.front() == rig[kOld + 1]);
  CHECK(table.registered() == 2);

  rig.begin_cycle();
  CHECK_FALSE(table.find_dead(rig.space(), rig.marker(), Scope::young));
  CHECK(table.find_dead(rig.space(), rig.marker(), Scope::all));
  CHECK(take_all_due(table) == std::vector{rig[0], rig[kOld]});
}

TEST_CASE("finalizers are set and taken away at random, between minor and full cycles") {
  test::Random random(test::seed_for("finalizers"));
  test::TableRig rig(1000);
  Finalizers table;
  struct Model {
    Address object;
    bool is_young;
  };
  std::vector<Model> model;  // in order of registration
  const auto find = [&](Address object) {
    return std::ranges::find(model, object, &Model::object);
  };
  const std::size_t steps = test::scaled(200'000);
  for (std::size_t step = 0; step < steps; ++step) {
    // It grows and shrinks, so that it is compacted now and then.
    const std::size_t what = random() % 1000;
    const std::size_t sets = step / 3000 % 2 != 0 ? 300 : 700;
    const Address object = rig[random() % rig.size()];
    if (what < sets) {
      REQUIRE(table.set(object, call, nullptr));
      if (find(object) == model.end()) model.push_back({object, true});
    } else if (what < 995) {
      REQUIRE(table.set(object, nullptr, nullptr));
      if (const auto entry = find(object); entry != model.end()) model.erase(entry);
    } else {
      const Scope scope = what < 999 ? Scope::young : Scope::all;
      rig.begin_cycle();
      for (std::size_t i = 0; i < rig.size(); ++i)
        if (random() % 8 != 0) rig.mark(rig[i]);
      std::vector<Address> dead;
      std::erase_if(model, [&](const Model& entry) {
        const bool is_due = (scope == Scope::all || entry.is_young) && !rig.is_marked(entry.object);
        if (is_due) dead.push_back(entry.object);
        return is_due;
      });
      for (Model& entry : model) entry.is_young = false;
      REQUIRE(table.find_dead(rig.space(), rig.marker(), scope) == !dead.empty());
      REQUIRE(take_all_due(table) == dead);
      std::ranges::sort(dead);
      REQUIRE(rig.handed_over() == dead);
      std::vector<Address> left;
      std::vector<Address> expected;
      table.for_each_registered([&](Address registered) { left.push_back(registered); });
      for (const Model& entry : model) expected.push_back(entry.object);
      REQUIRE(left == expected);
    }
    REQUIRE(table.registered() == model.size());
  }
}
