#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "runtime/collector/root_visitor.hpp"
#include "runtime/collector/roots.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::collector;
using Hold = Roots::Hold;

namespace {

struct Seen final : RootVisitor {
  std::vector<Address> objects;
  std::size_t slots = 0;
  std::size_t ranges = 0;
  std::size_t callbacks = 0;

  void root_slots(const char*, Address, std::size_t count) override { slots += count; }
  void root_words(const char*, Range) override { ++ranges; }
  void root_object(const char*, Address object) override { objects.push_back(object); }
  void root_callback(const char*, os::FunctionRef<void(weir_visitor*)>) override { ++callbacks; }
};

Seen scan(Roots& roots, Scope scope) {
  Seen seen;
  roots.scan(seen, scope);
  std::ranges::sort(seen.objects);
  return seen;
}
Address object(std::size_t number) {
  return Address((number + 1) * 16);
}

}  // namespace

TEST_CASE("a minor cycle visits the objects held since the last one, and all other roots") {
  constexpr std::size_t kOld = 1'000'000;
  Roots roots;
  void* slots[3] = {};
  char memory[64];
  REQUIRE(roots.add(Range::of(slots, sizeof slots), Roots::Reading::slots));
  REQUIRE(roots.add(Range::of(memory, sizeof memory), Roots::Reading::conservatively));
  REQUIRE(roots.add_callback([](weir_visitor*, void*) {}, nullptr));
  for (std::size_t i = 0; i < kOld; ++i) REQUIRE(roots.hold(object(i), Hold::pinned));
  CHECK(scan(roots, Scope::all).objects.size() == kOld);
  CHECK(scan(roots, Scope::young).objects.empty());

  REQUIRE(roots.hold(object(kOld), Hold::pinned));
  REQUIRE(roots.hold(object(kOld + 1), Hold::uncollectable));
  REQUIRE(roots.hold(object(kOld + 2), Hold::pinned));
  REQUIRE(roots.release(object(kOld), Hold::pinned));
  REQUIRE(roots.hold(object(7), Hold::uncollectable));  // of an old one nothing changes
  const Seen young = scan(roots, Scope::young);
  CHECK(young.objects == std::vector{object(kOld + 1), object(kOld + 2)});
  CHECK(young.slots == 3);
  CHECK(young.ranges == 1);
  CHECK(young.callbacks == 1);
  CHECK(scan(roots, Scope::young).objects.empty());
  CHECK(scan(roots, Scope::all).objects.size() == kOld + 2);
}

TEST_CASE("objects are held and released at random, between minor and full cycles") {
  test::Random random(test::seed_for("held objects"));
  Roots roots;
  struct Model {
    std::size_t pins = 0;
    bool is_uncollectable = false;
    bool is_young = true;
  };
  std::map<Address, Model> model;
  const std::size_t steps = test::scaled(500'000);
  for (std::size_t step = 0; step < steps; ++step) {
    const Address some = object(random() % 300);
    const Hold how = random() % 3 != 0 ? Hold::pinned : Hold::uncollectable;
    const std::size_t what = random() % 1000;
    if (what < 450) {
      REQUIRE(roots.hold(some, how));
      Model& entry = model[some];
      if (how == Hold::pinned)
        ++entry.pins;
      else
        entry.is_uncollectable = true;
    } else if (what < 990) {
      const auto found = model.find(some);
      const bool is_held =
          found != model.end() &&
          (how == Hold::pinned ? found->second.pins != 0 : found->second.is_uncollectable);
      REQUIRE(roots.release(some, how).has_value() == is_held);
      if (!is_held) continue;
      if (how == Hold::pinned)
        --found->second.pins;
      else
        found->second.is_uncollectable = false;
      if (found->second.pins == 0 && !found->second.is_uncollectable) model.erase(found);
    } else {
      const Scope scope = what < 998 ? Scope::young : Scope::all;
      std::vector<Address> expected;
      for (auto& [address, entry] : model) {
        if (scope == Scope::all || entry.is_young) expected.push_back(address);
        entry.is_young = false;
      }
      REQUIRE(scan(roots, scope).objects == expected);
    }
  }
}
