#include <cstdio>
#include <cstdlib>

#include "benchmarks/programs/systems/system.hpp"

namespace weir::programs {

void give_up() {
  std::fputs("mimalloc: out of memory\n", stderr);
  std::exit(1);
}

}  // namespace weir::programs
