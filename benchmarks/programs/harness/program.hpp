// Runs a program on the system that this executable is built for, repetition by repetition, and
// writes what came of it to stdout as one JSON record. A repetition is timed from its first
// allocation to its last, the first one from the creation of the heap on.
#pragma once

#include <cstdint>

#include "benchmarks/programs/harness/options.hpp"
#include "benchmarks/programs/harness/random.hpp"
#include "benchmarks/programs/systems/system.hpp"

namespace weir::programs {

// One repetition; returns a checksum, which depends on the options alone.
using Work = std::uint64_t (*)(Mutator& mutator, const Options& options);

int run(const Options& options, const HeapSetup& setup, Work work);

}  // namespace weir::programs
