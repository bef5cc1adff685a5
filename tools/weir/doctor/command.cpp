#include "tools/weir/command.hpp"

#include <fmt/format.h>

#include <memory>

#include "tools/weir/doctor/report.hpp"

namespace weir {

Command add_doctor(CLI::App& weir) {
  CLI::App* doctor = weir.add_subcommand(
      "doctor", "What this machine and this user have for the write barriers, and how to get more");
  auto json = std::make_shared<bool>(false);
  doctor->add_flag("--json", *json, "One JSON document (docs/doctor.md describes it)");
  doctor->footer(
      "First writes are measured: CPU time of all threads for each page of warm memory.\n"
      "Exit: 0 auto takes a precise barrier, 1 only if all writers are stopped, 2 usage, 3 none.");
  return {doctor, [json] {
            const doctor::Examination found = doctor::examine();
            fmt::print("{}",
                       *json ? doctor::to_json(found) : doctor::to_text(found, support::Console()));
            return static_cast<int>(doctor::verdict_of(found));
          }};
}

}  // namespace weir
