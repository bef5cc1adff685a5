#include <nlohmann/json.hpp>

#include "runtime/os/errno_name.hpp"
#include "tools/weir/doctor/advice.hpp"
#include "tools/weir/doctor/reasons.hpp"
#include "tools/weir/doctor/report.hpp"

namespace weir::doctor {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json json_of(const Error& error) {
  return {{"reason", reason_for(error)},
          {"errno", error.sys_errno == 0 ? Json() : Json(os::errno_name(error.sys_errno))}};
}

// What was tried: {"works": true}, or false with the reason.
Json json_of_trial(const std::optional<Error>& refusal) {
  Json json = {{"works", !refusal}};
  if (refusal) json.update(json_of(*refusal));
  return json;
}

Json json_of(const UffdRefusal& rung, const Examination& found) {
  Json json = {{"path", name_of(rung.path)}, {"works", rung.sys_errno == 0}};
  if (rung.sys_errno != 0) {
    json["reason"] = reason_for(rung, found);
    json["errno"] = os::errno_name(rung.sys_errno);
  }
  return json;
}

Json names_of(UffdFeatures features) {
  Json names = Json::array();
  for (std::uint64_t bit = 1; bit != 0; bit <<= 1)
    if (const auto feature = static_cast<UffdFeature>(bit); features.has(feature))
      names.push_back(name_of(feature));
  return names;
}

Json json_of_userfaultfd(const Examination& found) {
  const os::Capabilities& system = found.system;
  Json json = {{"open_path", system.open_path ? Json(name_of(*system.open_path)) : Json()},
               {"full", found.has_full_userfaultfd()},
               {"paths", Json::array()},
               {"features", names_of(system.features)},
               {"feature_bits", system.features.bits()}};
  for (const UffdRefusal& rung : system.rungs) json["paths"].push_back(json_of(rung, found));
  return json;
}

Json json_of(const BarrierFinding& finding) {
  Json json = {{"name", name_of(finding.kind)}};
  json.update(json_of_trial(finding.refusal));
  if (!finding.works()) return json;
  const BarrierTraits& traits = finding.traits;
  json.update({{"granularity", traits.granularity},
               {"sees_kernel_writes", traits.sees_kernel_writes},
               {"needs_signal", traits.needs_signal},
               {"needs_calls", traits.needs_calls},
               {"needs_stopped_writers", traits.needs_stopped_world},
               {"adds_mappings", traits.adds_mappings},
               {"threads", traits.threads},
               {"user_mode_only_because",
                finding.full_refusal ? Json(reason_for(*finding.full_refusal)) : Json()}});
  if (const auto& cost = finding.first_write; cost && *cost)
    json["first_write"] = {{"cpu_ns", (*cost)->cpu_ns}, {"wall_ns", (*cost)->wall_ns}};
  else
    json["first_write"] = cost ? json_of(cost->error()) : Json();
  return json;
}

Json json_of(const Expected<Choice>& choice) {
  if (!choice) {
    Json json = {{"barrier", nullptr}};
    json.update(json_of(choice.error()));
    return json;
  }
  Json json = {{"barrier", name_of(choice->kind)},
               {"precise", choice->is_precise()},
               {"refused", Json::array()}};
  for (const BarrierRefusal& refusal : choice->refusals) {
    Json refused = {{"name", name_of(refusal.kind)}};
    refused.update(json_of(refusal.why));
    json["refused"].push_back(refused);
  }
  return json;
}

Json json_of(const Setting& setting) {
  Json json = {{"name", setting.variable->name}, {"value", setting.value}};
  json["error"] = setting.refusal ? Json(reason_for(*setting.refusal)) : Json();
  return json;
}

Json json_of(const Advice& advice) {
  Json json = {{"id", advice.id}, {"gain", advice.gain}, {"ways", Json::array()}};
  for (const Way& way : advice.ways)
    json["ways"].push_back({{"what", way.what}, {"command", text_or_null(way.command)}});
  return json;
}

template <class Values>
Json array_of(const Values& values) {
  Json json = Json::array();
  for (const auto& value : values) json.push_back(json_of(value));
  return json;
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::precise:
      return "precise";
    case Verdict::precise_when_stopped:
      return "precise-when-stopped";
    case Verdict::imprecise:
      return "imprecise";
  }
  return "";
}

}  // namespace

std::string to_json(const Examination& found) {
  const os::Capabilities& system = found.system;
  const Json json = {
      {"format", 1},
      {"verdict", name_of(verdict_of(found))},
      {"kernel", system.kernel_release},
      {"page_size", system.page_size},
      {"uid", found.user},
      {"cap_sys_ptrace", system.has_ptrace_capability},
      {"initial_user_namespace", or_null(system.initial_user_namespace)},
      {"seccomp_filter", system.has_seccomp_filter},
      {"proc", system.proc_shows_us},
      {"userfaultfd", json_of_userfaultfd(found)},
      {"pagemap_scan", json_of_trial(system.pagemap_scan_refusal)},
      {"soft_dirty", json_of_trial(found.soft_dirty_refusal)},
      {"transparent_huge_pages", text_or_null(system.transparent_huge_pages)},
      {"max_map_count", or_null(system.max_map_count)},
      {"unprivileged_userfaultfd", or_null(system.unprivileged_userfaultfd)},
      {"barriers", array_of(found.barriers)},
      {"auto",
       {{"writers_running", json_of(found.writers_running)},
        {"writers_stopped", json_of(found.writers_stopped)},
        {"in_this_environment", found.in_environment ? json_of(*found.in_environment) : Json()}}},
      {"environment", array_of(found.environment)},
      {"advice", array_of(advice_for(found))}};
  // The environment may hold anything, also what is no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace weir::doctor
