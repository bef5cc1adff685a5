#include <nlohmann/json.hpp>

#include "gc_demo/manager/report.hpp"

namespace weir::manager {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Served& process) {
  const Served::Tally tally = process.tally();
  const auto counters = process.counters();
  return {{"client", process.client()},
          {"is_child", process.parent() != nullptr},
          {"role", name_of(process.parent() == nullptr ? role_of(process.client()) : Role::plain)},
          {"state", name_of(process.life)},
          {"process", process.process},
          {"pages", process.pages()},
          {"sent_on_demand", counters.demanded},
          {"sent_by_push", counters.pushed},
          {"sent_twice", counters.repeated},
          {"inherited", process.inherited()},
          {"never_sent", tally.to_come},
          {"given_back", tally.given_back},
          {"filled_with_zeros", counters.zeros},
          {"unmapped", tally.unmapped},
          {"late_faults", counters.late},
          {"compared", process.checked},
          {"wrong", process.wrong}};
}

}  // namespace

std::string to_json(const Report& report, const std::vector<Served*>& processes) {
  const Options& options = report.options;
  Json json = {{"clients", options.clients},
               {"mib", options.mib},
               {"seed", options.seed},
               {"rate", options.rate},
               {"touch_percent", options.touch_percent},
               {"page_size", os::page_size()},
               {"user_mode_only", report.user_mode_only},
               {"follows_forks", report.follows_forks},
               {"seconds_to_all", report.seconds_to_all},
               {"processes", Json::array()},
               {"server",
                {{"answered", report.server.answered},
                 {"deferred", report.server.deferred},
                 {"unknown", report.server.unknown},
                 {"wakeups", report.server.wakeups},
                 {"rounds", report.server.rounds},
                 {"descriptors_left", report.spaces_left}}},
               {"idle",
                {{"seconds", options.idle_seconds},
                 {"cpu_ms", report.idle.cpu_milliseconds},
                 {"wakeups", report.idle.wakeups},
                 {"rounds", report.idle.rounds}}},
               {"differences", report.differences},
               {"verdict", report.differences.empty() ? "ok" : "differs"}};
  if (!options.image.empty())
    json["image"] = {{"path", options.image},
                     {"bytes", options.image_bytes},
                     {"clusters", report.image.clusters},
                     {"inflated", report.image.inflated}};
  for (const Served* process : processes) json["processes"].push_back(json_of(*process));
  return json.dump(2);
}

}  // namespace weir::manager
