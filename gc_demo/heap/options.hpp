// What the command line asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include "gc_demo/shared/exit_code.hpp"

namespace weir::heap_demo {

using demo::ExitCode;

struct Options {
  double seconds = 5;
  std::size_t threads = 2;
  std::size_t mib = 64;  // the heap's maximum
  std::uint64_t seed = 1;
  bool json = false;
  bool quiet = false;
};

// An exit code: the program ends with it, and has printed what there was to say.
std::variant<Options, ExitCode> parse_options(int argc, char** argv);

}  // namespace weir::heap_demo
