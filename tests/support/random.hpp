// Seeds and sizes of the randomised tests. WEIR_SEED=n repeats a run; each test prints its seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace weir::test {

using Random = std::mt19937_64;

// The seed of this run: WEIR_SEED, or a fresh one. Printed once per `test_name`.
std::uint64_t seed_for(const char* test_name);

// How much randomised work to do: WEIR_TEST_TIER=smoke|quick|default|nightly.
enum class Tier { smoke, quick, standard, nightly };
Tier tier();
// `standard` scaled to the tier: a hundredth of it for smoke (emulated machines), a tenth for
// quick, twenty times for nightly.
std::size_t scaled(std::size_t standard);

}  // namespace weir::test
