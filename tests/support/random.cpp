#include "tests/support/random.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace weir::test {

std::uint64_t seed_for(const char* test_name) {
  const char* given = std::getenv("WEIR_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("%s: WEIR_SEED=%llu\n", test_name, static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

Tier tier() {
  const char* name = std::getenv("WEIR_TEST_TIER");
  if (name == nullptr || std::strcmp(name, "default") == 0) return Tier::standard;
  if (std::strcmp(name, "smoke") == 0) return Tier::smoke;
  if (std::strcmp(name, "quick") == 0) return Tier::quick;
  if (std::strcmp(name, "nightly") == 0) return Tier::nightly;
  std::fprintf(stderr, "WEIR_TEST_TIER=%s is unknown; use smoke, quick, default or nightly\n",
               name);
  std::abort();
}

std::size_t scaled(std::size_t standard) {
  switch (tier()) {
    case Tier::smoke:
      return standard / 100 > 0 ? standard / 100 : 1;
    case Tier::quick:
      return standard / 10 > 0 ? standard / 10 : 1;
    case Tier::standard:
      return standard;
    case Tier::nightly:
      return standard * 20;
  }
  return standard;
}

}  // namespace weir::test
