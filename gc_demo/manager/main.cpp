// manager: one process serves the missing pages of many, on demand and ahead of it.
#include <fmt/format.h>

#include "gc_demo/manager/options.hpp"
#include "gc_demo/manager/run.hpp"
#include "gc_demo/shared/command_line.hpp"

namespace weir::manager {
namespace {

ExitCode run_with(Options options) {
  std::unique_ptr<ImagePages> image;
  if (!options.image.empty()) {
    auto opened = ImagePages::open(options.image);
    if (!opened) {
      fmt::print(stderr, "manager: {}\n", opened.error().message());
      return ExitCode::not_here;
    }
    image = std::move(*opened);
    options.image_bytes = image->range().size;
  }
  View view(options.json || options.quiet);
  Run run(options, image.get(), view);
  if (auto done = run.run(); !done) {
    fmt::print(stderr, "manager: {}\n", done.error().message());
    return ExitCode::not_here;
  }
  const Report& report = run.report();
  if (options.json) fmt::print("{}\n", to_json(report, run.processes()));
  for (const std::string& difference : report.differences)
    fmt::print(stderr, "manager: {}\n", difference);
  return report.differences.empty() ? ExitCode::ok : ExitCode::differs;
}

ExitCode parse_and_run(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (const ExitCode* done = std::get_if<ExitCode>(&options)) return *done;
  return run_with(std::get<Options>(options));
}

}  // namespace
}  // namespace weir::manager

int main(int argc, char** argv) {
  return weir::demo::run_main("manager", [&] { return weir::manager::parse_and_run(argc, argv); });
}
