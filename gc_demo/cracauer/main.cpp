// cracauer: the story of Martin Cracauer's userfaultfd example, told on real page faults.
#include <fmt/format.h>

#include "gc_demo/cracauer/narrator.hpp"
#include "gc_demo/cracauer/options.hpp"
#include "gc_demo/cracauer/report_json.hpp"
#include "gc_demo/cracauer/story.hpp"
#include "gc_demo/shared/command_line.hpp"

namespace weir::cracauer {
namespace {

ExitCode run(const Options& options) {
  Audience nobody;
  Narrator narrator;
  const bool silent = options.json || options.quiet;
  Story story(options, silent ? nobody : narrator);

  if (auto told = story.run(); !told) {
    fmt::print(stderr, "cracauer: {}\n", told.error().message());
    const bool asked_wrongly =
        told.error().code == ErrorCode::invalid_argument && told.error().sys_errno == 0;
    return asked_wrongly ? ExitCode::usage : ExitCode::not_here;
  }
  if (options.json) fmt::print("{}\n", to_json(story.report()));
  for (const std::string& difference : story.report().differences)
    fmt::print(stderr, "cracauer: {}\n", difference);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    fmt::print(stderr, "cracauer: standard output cannot be written\n");
    return ExitCode::not_here;
  }
  return story.report().differences.empty() ? ExitCode::ok : ExitCode::differs;
}

ExitCode parse_and_run(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (const ExitCode* done = std::get_if<ExitCode>(&options)) return *done;
  return run(std::get<Options>(options));
}

}  // namespace
}  // namespace weir::cracauer

int main(int argc, char** argv) {
  return weir::demo::run_main("cracauer",
                              [&] { return weir::cracauer::parse_and_run(argc, argv); });
}
