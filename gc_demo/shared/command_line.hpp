// How all demos read their command line: help and mistakes are answered here.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "gc_demo/shared/exit_code.hpp"

namespace weir::demo {

// How the demo ends now, if it does. A mistake is told in the demo's name.
std::optional<ExitCode> read_command_line(const char* demo, CLI::App& app, int argc, char** argv);

}  // namespace weir::demo
