#include "gc_demo/mruby/options.hpp"

#include "gc_demo/shared/command_line.hpp"

namespace weir::mruby {

std::variant<Options, demo::ExitCode> parse_options(int argc, char** argv) {
  CLI::App app("mruby with its collector taken out and Weir in its place.");
  Options options;
  std::vector<std::string> words;
  app.add_flag("-b", options.is_compiled, "The program, and libraries, are compiled (by mrbc)");
  app.add_flag("-c", options.only_check, "Check the syntax only");
  app.add_flag("-d", options.debug, "Set $DEBUG");
  app.add_option("-e", options.lines, "A line of the program")->allow_extra_args(false);
  app.add_option("-r", options.libraries, "Run this first")->allow_extra_args(false);
  app.add_flag("-v,--verbose", options.verbose, "Tell the version, and show the code");
  app.add_flag("--version", options.version, "Tell the version");
  app.add_option("--image", options.image, "Begin with the state that was saved in this file");
  app.add_option("--save-image", options.save_image, "Save the state when the program has ended");
  app.add_option("--max-heap", options.maximum_mib, "The most that the heap may take, in MiB")
      ->check(CLI::Range(1, 1 << 24));
  app.prefix_command();  // from the program's name on all is the program's
  app.footer("WEIR_LOG=gc, WEIR_BARRIER and so on work as always: see the README.");
  if (const auto end = demo::read_command_line("mruby-weir", app, argc, argv)) return *end;
  words = app.remaining();
  if (options.lines.empty() && !words.empty()) {
    options.program = words.front();
    words.erase(words.begin());
  }
  options.arguments = words;
  return options;
}

}  // namespace weir::mruby
