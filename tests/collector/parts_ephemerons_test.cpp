#include "runtime/collector/ephemerons.hpp"
#include "tests/collector/table_rig.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::collector;

namespace {

std::vector<Address> waiting_for(const Ephemerons& table, Address key) {
  std::vector<Address> values;
  table.for_each_value_of(key, [&](Address value) { values.push_back(value); });
  std::ranges::sort(values);
  return values;
}

}  // namespace

TEST_CASE("a minor cycle looks at the young ephemerons only") {
  constexpr std::size_t kOld = 1'000'000;
  test::TableRig rig(kOld + 100);
  const Address value = rig[kOld];
  const Address live_key = rig[kOld + 1];
  const Address late_key = rig[kOld + 2];  // is marked later
  const Address dead_key = rig[kOld + 3];
  Ephemerons table;
  std::vector<weir_ephemeron*> old;
  while (old.size() < kOld) old.push_back(*table.create(rig[old.size()], value));
  // All of them wait at first: what the index of those that wait needed is large.
  table.index_waiting(rig.space(), rig.marker(), Scope::all);
  CHECK(rig.handed_over().empty());
  for (std::size_t i = 0; i < kOld; ++i) rig.mark(rig[i]);
  table.clear_dead(rig.space(), Scope::all);
  CHECK(table.size(Scope::young) == 0);

  weir_ephemeron* live = *table.create(live_key, value);
  weir_ephemeron* late = *table.create(late_key, value);
  weir_ephemeron* dead = *table.create(dead_key, value);
  CHECK(table.size(Scope::young) == 3);
  CHECK(table.size() == kOld + 3);
  rig.begin_cycle();
  for (std::size_t i = 0; i < kOld / 2; ++i) rig.mark(rig[i]);  // values of these would be marked
  rig.mark(live_key);
  table.index_waiting(rig.space(), rig.marker(), Scope::young);
  CHECK(rig.handed_over() == std::vector{value});
  for (std::size_t i = 0; i < kOld; ++i) REQUIRE(waiting_for(table, rig[i]).empty());
  CHECK(waiting_for(table, live_key).empty());
  CHECK(waiting_for(table, late_key) == std::vector{value});
  CHECK(waiting_for(table, dead_key) == std::vector{value});
  rig.mark(late_key);
  table.clear_dead(rig.space(), Scope::young);
  for (std::size_t i = 0; i < kOld; ++i) REQUIRE(old[i]->key == rig[i]);
  CHECK(live->key == live_key);
  CHECK(late->key == late_key);
  CHECK(late->value == value);
  CHECK(dead->key == Address());
  CHECK(dead->value == Address());
  CHECK(waiting_for(table, late_key).empty());
  CHECK(waiting_for(table, dead_key).empty());
  CHECK(table.size(Scope::young) == 0);
}

TEST_CASE("ephemerons are made and destroyed at random, between minor and full cycles") {
  test::Random random(test::seed_for("ephemerons"));
  test::TableRig rig(300);
  Ephemerons table;
  struct Model {
    weir_ephemeron* pair;
    Address key;
    Address value;
    bool is_young;
  };
  std::vector<Model> model;
  const std::size_t steps = test::scaled(100'000);
  for (std::size_t step = 0; step < steps; ++step) {
    const std::size_t what = random() % 1000;
    if (what < 505) {
      const Address key = rig[random() % rig.size()];
      const Address value = random() % 8 != 0 ? rig[random() % rig.size()] : Address();
      model.push_back({*table.create(key, value), key, value, true});
    } else if (what < 995) {
      if (model.empty()) continue;
      Model& victim = model[random() % model.size()];
      table.destroy(victim.pair);
      victim = model.back();
      model.pop_back();
    } else {
      const Scope scope = what < 999 ? Scope::young : Scope::all;
      const auto is_seen = [scope](const Model& pair) {
        return pair.key != Address() && (scope == Scope::all || pair.is_young);
      };
      rig.begin_cycle();
      for (std::size_t i = 0; i < rig.size(); ++i)
        if (random() % 2 != 0) rig.mark(rig[i]);
      std::vector<Address> values;
      for (const Model& pair : model)
        if (is_seen(pair) && rig.is_marked(pair.key) && pair.value != Address())
          values.push_back(pair.value);
      std::ranges::sort(values);
      table.index_waiting(rig.space(), rig.marker(), scope);
      REQUIRE(rig.handed_over() == values);
      for (std::size_t i = 0; i < rig.size(); ++i) {
        std::vector<Address> waiting;
        for (const Model& pair : model)
          if (is_seen(pair) && pair.key == rig[i] && !rig.is_marked(rig[i]))
            waiting.push_back(pair.value);
        std::ranges::sort(waiting);
        REQUIRE(waiting_for(table, rig[i]) == waiting);
      }
      for (std::size_t i = 0; i < rig.size(); ++i)
        if (random() % 2 != 0) rig.mark(rig[i]);
      table.clear_dead(rig.space(), scope);
      for (Model& pair : model) {
        if (is_seen(pair) && !rig.is_marked(pair.key)) pair.key = pair.value = Address();
        pair.is_young = false;
        REQUIRE(pair.pair->key == pair.key);
        REQUIRE(pair.pair->value == pair.value);
      }
      for (std::size_t i = 0; i < rig.size(); ++i) REQUIRE(waiting_for(table, rig[i]).empty());
    }
    REQUIRE(table.size() == model.size());
  }
}
