// cracauer: the story of Martin Cracauer's userfaultfd example, told on real page faults.
#include <fmt/format.h>

#include "gc_demo/cracauer/narrator.hpp"
#include "gc_demo/cracauer/options.hpp"
#include "gc_demo/cracauer/report_json.hpp"
#include "gc_demo/cracauer/story.hpp"

namespace weir::cracauer {
namespace {

int run(const Options& options) {
  Audience nobody;
  Narrator narrator;
  const bool silent = options.json || options.quiet;
  Story story(options, silent ? nobody : narrator);

  if (auto told = story.run(); !told) {
    fmt::print(stderr, "cracauer: {}\n", told.error().message());
    const bool asked_wrongly =
        told.error().code == ErrorCode::invalid_argument && told.error().sys_errno == 0;
    return static_cast<int>(asked_wrongly ? ExitCode::usage : ExitCode::not_here);
  }
  if (options.json) fmt::print("{}\n", to_json(story.report()));
  for (const std::string& difference : story.report().differences)
    fmt::print(stderr, "cracauer: {}\n", difference);
  return static_cast<int>(story.report().differences.empty() ? ExitCode::ok : ExitCode::differs);
}

}  // namespace
}  // namespace weir::cracauer

int main(int argc, char** argv) {
  using namespace weir::cracauer;
  const auto options = parse_options(argc, argv);
  if (const ExitCode* done = std::get_if<ExitCode>(&options)) return static_cast<int>(*done);
  return run(std::get<Options>(options));
}
