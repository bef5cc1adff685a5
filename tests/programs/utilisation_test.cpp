// Minimum mutator utilisation of runs whose gaps are known.
#include "benchmarks/programs/harness/utilisation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace weir::programs {
namespace {

TEST_CASE("minimum utilisation: no gap, one gap, a gap longer than the window") {
  CHECK(minimum_utilisation({}, 0, 1000, 100) == 1);
  CHECK(minimum_utilisation({{500, 510}}, 0, 1000, 100) == doctest::Approx(0.9));
  CHECK(minimum_utilisation({{500, 700}}, 0, 1000, 100) == 0);
  CHECK(minimum_utilisation({{0, 10}}, 0, 1000, 100) == doctest::Approx(0.9));
  CHECK(minimum_utilisation({{990, 1000}}, 0, 1000, 100) == doctest::Approx(0.9));
}

TEST_CASE("minimum utilisation: a run shorter than the window is the window") {
  CHECK(minimum_utilisation({{2, 7}}, 0, 10, 100) == doctest::Approx(0.5));
  CHECK(minimum_utilisation({}, 5, 5, 100) == 1);
}

TEST_CASE("minimum utilisation: gaps that share a window count together, cut off where it ends") {
  CHECK(minimum_utilisation({{100, 120}, {150, 180}}, 0, 1000, 100) == doctest::Approx(0.5));
  CHECK(minimum_utilisation({{100, 120}, {200, 260}}, 0, 1000, 100) == doctest::Approx(0.4));
  CHECK(minimum_utilisation({{100, 150}, {190, 240}}, 0, 1000, 100) == doctest::Approx(0.4));
}

TEST_CASE("minimum utilisation: as every window would have it") {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    constexpr std::uint64_t kEnd = 300;
    const std::uint64_t window = 1 + random() % 120;
    std::vector<Gap> gaps;
    for (std::uint64_t at = random() % 40; at + 40 < kEnd; at += 1 + random() % 60) {
      const std::uint64_t length = 1 + random() % 30;
      gaps.push_back({at, at + length});
      at += length;
    }
    std::uint64_t most = 0;
    for (std::uint64_t from = 0; from + window <= kEnd; ++from) {
      std::uint64_t inside = 0;
      for (const Gap& gap : gaps)
        for (std::uint64_t at = gap.begin; at < gap.end; ++at)
          inside += at >= from && at < from + window;
      most = std::max(most, inside);
    }
    const double expected = 1 - static_cast<double>(most) / static_cast<double>(window);
    CHECK(minimum_utilisation(gaps, 0, kEnd, window) == doctest::Approx(expected));
  }
}

}  // namespace
}  // namespace weir::programs
