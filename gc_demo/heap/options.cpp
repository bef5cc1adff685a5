#include "gc_demo/heap/options.hpp"

#include "gc_demo/shared/command_line.hpp"

namespace weir::heap_demo {

std::variant<Options, ExitCode> parse_options(int argc, char** argv) {
  CLI::App app(
      "A collected heap at work: threads that build lists, trees and large arrays, look whether "
      "they "
      "are whole, and drop them; a picture of the heap's blocks, and what each collection did.");
  Options options;
  app.add_option("--seconds", options.seconds, "How long")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "How many allocate")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app.add_option("--mib", options.mib, "The most that the heap may take, in MiB")
      ->check(CLI::Range(32, 1 << 16))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is built and dropped")->capture_default_str();
  app.add_flag("--json", options.json, "One JSON document instead of the picture");
  app.add_flag("--quiet", options.quiet, "Only what is wrong");
  app.footer(
      "Exit: 0 all as it should be, 1 something differs, 2 usage, 3 not possible on this system.");
  if (const auto end = demo::read_command_line("heap_demo", app, argc, argv)) return *end;
  return options;
}

}  // namespace weir::heap_demo
