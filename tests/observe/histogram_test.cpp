#include "runtime/observe/histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/support/random.hpp"

using namespace weir::observe;

namespace {

// The smallest value that at least `fraction` of all are not above.
std::uint64_t exact(const std::vector<std::uint64_t>& sorted, double fraction) {
  const auto wanted =
      static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(wanted, 1) - 1];
}

bool is_close(std::uint64_t found, std::uint64_t right) {
  const std::uint64_t off = found > right ? found - right : right - found;
  return off <= right / 64;
}

}  // namespace

TEST_CASE("an empty histogram has nothing") {
  const Distribution none = Histogram().distribution();
  CHECK(none.count == 0);
  CHECK(none.p50 == 0);
  CHECK(none.max == 0);
  CHECK(none.mean() == 0);
}

TEST_CASE("one value is every quantile") {
  for (std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63},
                              std::uint64_t{64}, std::uint64_t{1'000'003}, UINT64_MAX}) {
    Histogram histogram;
    histogram.record(value);
    CHECK(is_close(histogram.quantile(0), value));
    CHECK(is_close(histogram.quantile(0.5), value));
    CHECK(histogram.quantile(1) == value);
    CHECK(histogram.max() == value);
    CHECK(histogram.sum() == value);
  }
}

TEST_CASE("each power of two and its neighbours") {
  for (unsigned bit = 1; bit < 64; ++bit)
    for (std::uint64_t value :
         {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit, (std::uint64_t{1} << bit) + 1}) {
      Histogram histogram;
      histogram.record(value);
      histogram.record(UINT64_MAX);  // so that it is not the maximum that limits
      CAPTURE(value);
      CHECK(is_close(histogram.quantile(0.5), value));
    }
}

TEST_CASE("quantiles of random values agree with sorting them") {
  weir::test::Random random(weir::test::seed_for("histogram"));
  for (std::size_t round = 0; round < weir::test::scaled(200); ++round) {
    // Of all magnitudes, or around one, or few different ones.
    const unsigned form = static_cast<unsigned>(random() % 3);
    const unsigned bits = static_cast<unsigned>(random() % 50) + 4;
    const std::size_t count = random() % 3000 + 1;
    Histogram histogram;
    std::vector<std::uint64_t> values;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const unsigned shift = form == 0 ? static_cast<unsigned>(random() % 50) + 10 : 64 - bits;
      const std::uint64_t value = form == 2 ? 1000 + random() % 5 : random() >> shift;
      histogram.record(value);
      values.push_back(value);
      sum += value;
    }
    std::ranges::sort(values);
    CHECK(histogram.count() == count);
    CHECK(histogram.sum() == sum);
    CHECK(histogram.max() == values.back());
    for (double fraction : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      CAPTURE(fraction);
      CAPTURE(count);
      CHECK(is_close(histogram.quantile(fraction), exact(values, fraction)));
    }
    const Distribution shown = histogram.distribution();
    CHECK(shown.p50 == histogram.quantile(0.5));
    CHECK(shown.p99 == histogram.quantile(0.99));
    CHECK(shown.mean() == doctest::Approx(static_cast<double>(sum) / static_cast<double>(count)));
  }
}
