#include "gc_demo/manager/options.hpp"

#include "gc_demo/shared/command_line.hpp"

namespace weir::manager {

std::variant<Options, ExitCode> parse_options(int argc, char** argv) {
  CLI::App app(
      "One process that serves the missing pages of many: each client passes its userfaultfd over "
      "a "
      "unix socket, and the manager sends what is touched on demand, and the rest ahead of it. No "
      "page is sent twice.");
  Options options;
  app.add_option("--clients", options.clients,
                 "How many processes. The second forks, the third gives memory back, the fourth "
                 "unmaps some, the fifth is killed")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--mib", options.mib, "Memory of each, in MiB")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--image", options.image,
                 "A heap image, whose pages all clients have, instead of pages that are made up")
      ->excludes("--mib");
  app.add_option("--rate", options.rate, "How many MiB are pushed in a second; 0: no limit")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--touch", options.touch_percent,
                 "How many percent of its pages a client touches at random, meanwhile")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of contents, and of the order in which pages are touched")
      ->capture_default_str();
  app.add_option("--idle", options.idle_seconds,
                 "Seconds to watch the manager do nothing, at the end")
      ->check(CLI::Range(0, 60))
      ->capture_default_str();
  app.add_flag("--json", options.json, "One JSON document instead of the picture");
  app.add_flag("--quiet", options.quiet, "Only the verdict, and only if something differs");
  app.footer(
      "Exit: 0 all as it should be, 1 something differs, 2 usage, 3 not possible on this system.");
  if (const auto end = demo::read_command_line("manager", app, argc, argv)) return *end;
  return options;
}

}  // namespace weir::manager
