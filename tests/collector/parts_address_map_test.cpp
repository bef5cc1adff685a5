#include <doctest/doctest.h>

#include <unordered_map>

#include "runtime/collector/address_map.hpp"
#include "tests/support/random.hpp"

using namespace weir;

TEST_CASE("an address map holds what a map of the standard library holds") {
  test::Random random(test::seed_for("address map"));
  for (const std::size_t keys : {1, 40, 3000}) {
    collector::AddressMap<std::uint64_t> map;
    std::unordered_map<std::uintptr_t, std::uint64_t> model;
    const std::size_t steps = test::scaled(100'000);
    for (std::size_t step = 0; step < steps; ++step) {
      const Address key((1 + random() % keys) * 16);
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const std::uint64_t value = random();
          bool inserted = false;
          std::uint64_t* there = map.insert(key, value, &inserted);
          REQUIRE(there != nullptr);
          const auto [expected, is_new] = model.emplace(key.value(), value);
          REQUIRE(inserted == is_new);
          REQUIRE(*there == expected->second);
          break;
        }
        case 3:
        case 4:
          REQUIRE(map.erase(key) == (model.erase(key.value()) != 0));
          break;
        case 5:
          if (std::uint64_t* value = map.find(key)) model[key.value()] = *value = random();
          break;
        default: {
          const auto expected = model.find(key.value());
          const std::uint64_t* value = map.find(key);
          REQUIRE((value != nullptr) == (expected != model.end()));
          if (value != nullptr) REQUIRE(*value == expected->second);
        }
      }
      REQUIRE(map.size() == model.size());
      if (random() % (steps / 4 + 1) == 0) map.clear(), model.clear();
    }
    std::size_t seen = 0;
    map.for_each([&](Address key, std::uint64_t value) {
      ++seen;
      REQUIRE(model.at(key.value()) == value);
    });
    CHECK(seen == model.size());
  }
}
