#include "runtime/collector/weak_cells.hpp"
#include "tests/collector/table_rig.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::collector;

TEST_CASE("a minor cycle looks at the young weak cells only") {
  constexpr std::size_t kOld = 1'000'000;
  constexpr std::size_t kYoung = 5;
  test::TableRig rig(kOld + kYoung);
  WeakCells table;
  std::vector<weir_weak*> cells;
  const auto add = [&](std::size_t count) {
    while (count-- != 0) cells.push_back(*table.create(rig[cells.size()]));
  };
  add(kOld);
  for (std::size_t i = 0; i < kOld; ++i) rig.mark(rig[i]);
  table.clear_dead(rig.space(), Scope::all);

  add(kYoung);
  rig.begin_cycle();  // all would have to be cleared
  rig.mark(rig[kOld]);
  table.clear_dead(rig.space(), Scope::young);
  std::size_t cleared_old = 0;
  for (std::size_t i = 0; i < kOld; ++i) cleared_old += cells[i]->object == Address();
  CHECK(cleared_old == 0);
  CHECK(cells[kOld]->object == rig[kOld]);
  for (std::size_t i = 1; i < kYoung; ++i) CHECK(cells[kOld + i]->object == Address());

  rig.begin_cycle();  // the one that was young is old
  table.clear_dead(rig.space(), Scope::young);
  CHECK(cells[kOld]->object == rig[kOld]);
  table.clear_dead(rig.space(), Scope::all);
  table.for_each([](Address) { FAIL_CHECK("this one lives on"); });
}

TEST_CASE("weak cells are made and destroyed at random, between minor and full cycles") {
  test::Random random(test::seed_for("weak cells"));
  test::TableRig rig(500);
  WeakCells table;
  struct Model {
    weir_weak* cell;
    Address object;
    bool is_young;
  };
  std::vector<Model> model;
  const std::size_t steps = test::scaled(200'000);
  for (std::size_t step = 0; step < steps; ++step) {
    const std::size_t what = random() % 1000;
    if (what < 505) {
      const Address object = rig[random() % rig.size()];
      model.push_back({*table.create(object), object, true});
    } else if (what < 995) {
      if (model.empty()) continue;
      Model& victim = model[random() % model.size()];
      table.destroy(victim.cell);
      victim = model.back();
      model.pop_back();
    } else {
      const Scope scope = what < 999 ? Scope::young : Scope::all;
      rig.begin_cycle();
      for (std::size_t i = 0; i < rig.size(); ++i)
        if (random() % 4 != 0) rig.mark(rig[i]);
      table.clear_dead(rig.space(), scope);
      for (Model& entry : model) {
        const bool is_seen = scope == Scope::all || entry.is_young;
        if (entry.object != Address() && is_seen && !rig.is_marked(entry.object))
          entry.object = Address();
        entry.is_young = false;
        REQUIRE(entry.cell->object == entry.object);
      }
    }
    REQUIRE(table.size() == model.size());
  }
}
