#include "runtime/os/off_heap_vector.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/support/random.hpp"

using namespace weir;

TEST_CASE("an off-heap vector holds what a vector of the standard library holds") {
  test::Random random(test::seed_for("off-heap vector"));
  os::OffHeapVector<std::uint64_t> vector;
  std::vector<std::uint64_t> model;
  for (std::size_t step = 0; step < test::scaled(100'000); ++step) {
    switch (random() % 16) {
      case 0:
        vector.truncate(random() % (model.size() + 1));
        model.resize(vector.size());
        break;
      case 1:
        if (random() % 16 == 0) vector.clear(), model.clear();
        break;
      case 2:
        REQUIRE(vector.reserve(random() % 200));
        break;
      case 3:
      case 4:
        if (!model.empty()) vector.pop_back(), model.pop_back();
        break;
      default:
        model.push_back(random());
        REQUIRE(vector.push_back(model.back()));
    }
    REQUIRE(vector.size() == model.size());
    REQUIRE(vector.empty() == model.empty());
    REQUIRE(vector.capacity() >= vector.size());
    if (!model.empty()) REQUIRE(vector.back() == model.back());
  }
  CHECK(std::equal(vector.begin(), vector.end(), model.begin(), model.end()));
}

TEST_CASE("more than there can be changes nothing") {
  os::OffHeapVector<std::uint64_t> vector;
  REQUIRE(vector.push_back(7));
  CHECK_FALSE(vector.reserve(std::size_t{1} << 62));
  CHECK(vector.size() == 1);
  CHECK(vector[0] == 7);
}
