// The subcommands of `weir`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace weir {

struct Command {
  CLI::App* arguments;       // which say whether the command was given
  std::function<int()> run;  // returns the exit code
};

constexpr int kUsage = 2;  // the exit code of every command that is asked wrongly

Command add_doctor(CLI::App& weir);

}  // namespace weir
