#include <fmt/format.h>

#include "gc_demo/manager/report.hpp"

namespace weir::manager {

void verify(const Served& process, const Report& report, std::vector<std::string>& differences) {
  const auto require = [&](bool condition, const std::string& what) {
    if (!condition) differences.push_back(fmt::format("{}: {}", process.name(), what));
  };
  const Served::Tally tally = process.tally();
  const auto counters = process.counters();

  std::size_t sends = 0;
  std::size_t twice = 0;
  for (std::size_t page = 0; page < process.pages(); ++page) {
    sends += process.times_sent(page);
    if (process.times_sent(page) > 1) ++twice;
  }
  require(twice == 0, fmt::format("{} pages were sent twice", twice));
  require(counters.repeated == 0,
          fmt::format("the kernel had {} pages already that were sent", counters.repeated));
  require(sends == counters.demanded + counters.pushed,
          fmt::format("{} pages were sent by demand and {} by push, but {} in all",
                      counters.demanded, counters.pushed, sends));
  require(process.wrong == 0, fmt::format("{} comparisons found wrong bytes", process.wrong));
  require(tally.damaged == 0, fmt::format("{} pages are damaged", tally.damaged));
  require(process.has_departed(), "the server still holds its descriptor");

  if (process.life == Life::killed) return;
  require(process.life == Life::done, fmt::format("it ends {}", name_of(process.life)));
  require(tally.to_come == 0, fmt::format("{} pages never came", tally.to_come));
  require(tally.given_back == process.gave_back,
          fmt::format("it gave {} pages back, the manager knows of {}", process.gave_back,
                      tally.given_back));
  require(counters.zeros == process.gave_back,
          fmt::format("{} pages were given back and compared later, {} were filled with zeros",
                      process.gave_back, counters.zeros));
  require(tally.unmapped == process.did_unmap,
          fmt::format("it unmapped {} pages, the manager knows of {}", process.did_unmap,
                      tally.unmapped));
  require(process.checked == report.options.pages() - process.did_unmap,
          fmt::format("it compared {} of its {} pages", process.checked,
                      report.options.pages() - process.did_unmap));
}

void verify(const Report& report, std::vector<std::string>& differences) {
  const auto require = [&](bool condition, const std::string& what) {
    if (!condition) differences.push_back(what);
  };
  require(report.server.unknown == 0,
          fmt::format("{} faults belonged to nobody", report.server.unknown));
  require(report.image.inflated <= report.image.clusters,
          fmt::format("{} clusters of the image were inflated {} times", report.image.clusters,
                      report.image.inflated));
  require(report.spaces_left == 0, fmt::format("{} descriptors are left open", report.spaces_left));
  require(report.idle.wakeups == 0,
          fmt::format("{} messages woke the idle manager", report.idle.wakeups));
  // It looks once a second whether its descriptor is still its own.
  require(report.idle.rounds <= report.options.idle_seconds + 1,
          fmt::format("the idle manager went round {} times in {} s", report.idle.rounds,
                      report.options.idle_seconds));
}

}  // namespace weir::manager
