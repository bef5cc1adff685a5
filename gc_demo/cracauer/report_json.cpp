#include "gc_demo/cracauer/report_json.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "gc_demo/cracauer/picture.hpp"

namespace weir::cracauer {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of_step(Step step) {
  switch (step) {
    case Step::touch:
      return "touch";
    case Step::missing:
      return "missing";
    case Step::armed_write:
      return "armed-write";
    case Step::inflated:
      return "inflated";
    case Step::filled:
      return "filled";
    case Step::filled_armed:
      return "filled-armed";
    case Step::recorded:
      return "recorded";
    case Step::unprotecting:
      return "unprotecting";
    case Step::went_on:
      return "went-on";
  }
  return "";
}

std::string hex(std::uint64_t value) {
  return fmt::format("{:#x}", value);
}

Json json_of(const Event& event) {
  Json json = {{"step", name_of_step(event.entry.step)},
               {"who", event.who},
               {"page", event.page},
               {"address", hex(event.entry.pages.begin.value())},
               {"us", event.microseconds}};
  if (event.entry.step == Step::inflated) json["stored_bytes"] = event.entry.bytes;
  if (event.entry.step == Step::went_on) json["word"] = hex(event.entry.value);
  return json;
}

Json json_of(const Touch& touch) {
  Json json = {{"who", touch.who},
               {"page", touch.page},
               {"access", touch.write ? "write" : "read"},
               {"us", touch.microseconds()},
               {"noted_by_kernel", touch.noted_by_kernel},
               {"events", Json::array()}};
  for (const Event& event : touch.events) json["events"].push_back(json_of(event));
  return json;
}

}  // namespace

std::string to_json(const Report& report) {
  const Options& options = report.options;
  Json json = {{"mode", mode_name(options)},
               {"barrier", name_of(options.barrier)},
               {"delivery", name_of(options.delivery)},
               {"codec", image::name_of(options.codec)},
               {"library", image::library_of(options.codec)},
               {"page_size", report.page_size},
               {"region", {hex(report.region.begin.value()), hex(report.region.end().value())}},
               {"user_mode_only", report.user_mode_only},
               {"stored_bytes", report.stored_bytes},
               {"touches", Json::array()},
               {"pages", Json::array()},
               {"dirty", report.dirty},
               {"first_words", Json::array()},
               {"inflated_before_check", report.inflated_before_check},
               {"differences", report.differences},
               {"verdict", report.differences.empty() ? "ok" : "differs"}};
  for (const Touch& touch : report.touches) json["touches"].push_back(json_of(touch));
  for (const PageState& page : report.pages)
    json["pages"].push_back({{"content", name_of(page.content)}, {"writes", name_of(page.writes)}});
  for (Word word : report.first_words) json["first_words"].push_back(hex(word));
  return json.dump(2);
}

}  // namespace weir::cracauer
