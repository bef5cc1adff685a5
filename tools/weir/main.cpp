// weir: what the runtime is asked and told from a shell. Each subcommand has a folder.
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "tools/weir/command.hpp"

namespace weir {
namespace {

int run(int argc, char** argv) {
  CLI::App app("Weir, a garbage-collector runtime with the MMU as its write barrier.");
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.require_subcommand(1);
  const Command commands[] = {add_doctor(app), add_image(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "weir: {}; try --help\n", error.what());
    return kUsage;
  }
  for (const Command& command : commands)
    if (command.arguments->parsed()) return command.run();
  return kUsage;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  try {
    return weir::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weir: cannot go on: %s\n", error.what());
    return weir::kFailed;
  }
}
