// The command line, as mruby's is, and images.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "gc_demo/shared/exit_code.hpp"

namespace weir::mruby {

struct Options {
  std::vector<std::string> libraries;  // run before the program
  std::vector<std::string> lines;      // -e: the program
  std::string program;                 // empty: the lines, or standard input
  std::vector<std::string> arguments;
  bool is_compiled = false;
  bool only_check = false;
  bool debug = false;
  bool verbose = false;
  bool version = false;
  std::string image;       // to begin with
  std::string save_image;  // when the program has ended
  std::size_t maximum_mib = 0;
};

std::variant<Options, demo::ExitCode> parse_options(int argc, char** argv);

}  // namespace weir::mruby
