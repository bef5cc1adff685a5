#include "gc_demo/shared/command_line.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace weir::demo {

std::optional<ExitCode> read_command_line(const char* demo, CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help);
    return ExitCode::ok;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}; try --help\n", demo, error.what());
    return ExitCode::usage;
  }
  return std::nullopt;
}

}  // namespace weir::demo
