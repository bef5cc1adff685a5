// The subcommands of `weir`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace weir {

struct Command {
  CLI::App* arguments;       // which say whether the command was given
  std::function<int()> run;  // returns the exit code
};

// Exit codes of every command.
constexpr int kUsage = 2;   // asked wrongly
constexpr int kFailed = 4;  // it could not finish, for want of memory, say

Command add_doctor(CLI::App& weir);
Command add_image(CLI::App& weir);

}  // namespace weir
