// How all demos begin and end: help and mistakes of the command line are answered here, and what
// nobody expected.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <optional>

#include "gc_demo/shared/exit_code.hpp"

namespace weir::demo {

// How the demo ends now, if it does. A mistake is told in the demo's name.
std::optional<ExitCode> read_command_line(const char* demo, CLI::App& app, int argc, char** argv);

// All of main: what `run` answers, or what the libraries throw (no memory, no room for the output).
template <class Run>
int run_main(const char* demo, const Run& run) {
  try {
    return static_cast<int>(run());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: cannot go on: %s\n", demo, error.what());
    return static_cast<int>(ExitCode::not_here);
  }
}

}  // namespace weir::demo
