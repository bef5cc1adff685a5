#include <fmt/format.h>

#include <algorithm>

#include "tools/weir/doctor/advice.hpp"
#include "tools/weir/doctor/layout.hpp"
#include "tools/weir/doctor/reasons.hpp"
#include "tools/weir/doctor/report.hpp"

namespace weir::doctor {
namespace {

using support::Console;
using support::Style;

const char* title_of(UffdOpenPath path) {
  switch (path) {
    case UffdOpenPath::device:
      return "  /dev/userfaultfd";
    case UffdOpenPath::system_call:
      return "  system call";
    default:
      return "  USER_MODE_ONLY";
  }
}

std::string features_in(UffdFeatures features) {
  std::string names;
  for (std::uint64_t bit = 1; bit != 0; bit <<= 1)
    if (const auto feature = static_cast<UffdFeature>(bit); features.has(feature))
      names.append(names.empty() ? "" : " ").append(name_of(feature));
  return names;
}

void add_rungs(Layout& layout, const Examination& found) {
  const auto& open_path = found.system.open_path;
  if (!open_path)
    layout.row(Mark::no, "userfaultfd", "refused in every way");
  else if (*open_path == UffdOpenPath::user_mode_only)
    layout.row(Mark::ok, "userfaultfd", "user-mode-only: system calls that run into a fault fail");
  else
    layout.row(Mark::ok, "userfaultfd",
               fmt::format("full, by the {}",
                           *open_path == UffdOpenPath::device ? "device" : "system call"));
  for (const UffdRefusal& rung : found.system.rungs)
    layout.row(rung.sys_errno == 0 ? Mark::ok : Mark::no, title_of(rung.path),
               rung.sys_errno == 0 ? "opens" : reason_for(rung, found));
}

template <class Value>
std::string or_unknown(const std::optional<Value>& value) {
  return value ? fmt::format("{}", *value) : "unknown";
}

void add_kernel(Layout& layout, const Examination& found) {
  const os::Capabilities& system = found.system;
  layout.heading("Kernel");
  add_rungs(layout, found);
  if (system.open_path) {
    const bool tracks = system.features.has(UffdFeature::pagefault_flag_wp);
    layout.row(tracks ? Mark::ok : Mark::no, "  features", features_in(system.features));
    if (!system.features.has(UffdFeature::wp_async))
      layout.detail("not: wp_async (Linux 6.7 or newer has it)");
  }
  layout.row(system.has_pagemap_scan() ? Mark::ok : Mark::no, "PAGEMAP_SCAN",
             system.has_pagemap_scan() ? "works" : reason_for(*system.pagemap_scan_refusal));
  layout.row(found.soft_dirty_refusal ? Mark::no : Mark::ok, "soft-dirty",
             found.soft_dirty_refusal ? reason_for(*found.soft_dirty_refusal) : "works");
  layout.row(Mark::none, "huge pages",
             system.transparent_huge_pages.empty() ? "unknown" : system.transparent_huge_pages);
  layout.row(
      Mark::none, "settings",
      fmt::format("vm.unprivileged_userfaultfd = {}, vm.max_map_count = {}",
                  or_unknown(system.unprivileged_userfaultfd), or_unknown(system.max_map_count)));
}

std::string time_of(double ns) {
  return ns < 100 ? fmt::format("{:.2f} us", ns / 1000) : fmt::format("{:.1f} us", ns / 1000);
}

std::string cost_of(const BarrierFinding& finding) {
  if (!finding.first_write || !*finding.first_write) return "?";
  return time_of((*finding.first_write)->cpu_ns);
}

const char* fate_of_system_calls(const BarrierTraits& traits) {
  return traits.needs_calls ? "unseen" : traits.sees_kernel_writes ? "seen" : "EFAULT";
}

std::string remarks_on(const BarrierFinding& finding) {
  const BarrierTraits& traits = finding.traits;
  if (finding.kind == BarrierKind::always_dirty) return "every page counts as written";
  if (finding.kind == BarrierKind::async) return "resolved by the kernel";
  std::string remarks;
  const auto add = [&](std::string_view remark) {
    remarks.append(remarks.empty() ? "" : "; ").append(remark);
  };
  if (traits.needs_calls) add("a call after each write");
  if (traits.needs_stopped_world) add("writers stopped");
  if (traits.threads > 0) add("a thread");
  if (traits.needs_signal) add(finding.kind == BarrierKind::mprotect ? "SIGSEGV" : "SIGBUS");
  if (traits.adds_mappings) add("a mapping per written run");
  if (finding.full_refusal) add("user-mode-only");
  return remarks;
}

void add_barriers(Layout& layout, const Examination& found) {
  layout.heading("Barriers                 first write   system calls");
  for (const BarrierFinding& finding : found.barriers) {
    if (!finding.works()) {
      layout.row(Mark::no, name_of(finding.kind), reason_for(*finding.refusal));
      continue;
    }
    layout.row(
        Mark::ok, name_of(finding.kind), remarks_on(finding),
        fmt::format("{:>11}   {:<15} ", cost_of(finding), fate_of_system_calls(finding.traits)));
    if (finding.first_write && !*finding.first_write)
      layout.detail(reason_for(finding.first_write->error()));
  }
}

struct SharedReason {
  std::string reason;
  std::vector<BarrierKind> kinds;
};

// The table above has the reasons of those that fail; the others are refused as they are.
std::vector<SharedReason> by_reason(const std::vector<BarrierRefusal>& refusals,
                                    const Examination& found) {
  std::vector<SharedReason> all;
  for (const BarrierRefusal& refusal : refusals) {
    const bool is_above = !found.barrier(refusal.kind).works();
    const std::string reason = is_above ? "not to be had, see above" : reason_for(refusal.why);
    auto same = std::ranges::find(all, reason, &SharedReason::reason);
    if (same == all.end()) same = all.insert(all.end(), {reason, {}});
    if (std::ranges::find(same->kinds, refusal.kind) == same->kinds.end())
      same->kinds.push_back(refusal.kind);
  }
  return all;
}

void add_choice(Layout& layout, std::string_view when, const Expected<Choice>& choice,
                const Examination& found) {
  if (!choice) return layout.row(Mark::no, when, reason_for(choice.error()));
  layout.row(
      choice->is_precise() ? Mark::ok : Mark::no, when,
      choice->refusals.empty()
          ? fmt::format("{}: the first choice, and it passed its self-test", name_of(choice->kind))
          : fmt::format("{}: it passed its self-test, and better ones are refused",
                        name_of(choice->kind)));
  for (const SharedReason& shared : by_reason(choice->refusals, found)) {
    std::string names;
    for (const BarrierKind kind : shared.kinds)
      names.append(names.empty() ? "not " : ", ").append(name_of(kind));
    layout.detail(fmt::format("{}: {}", names, shared.reason));
  }
}

void add_choices(Layout& layout, const Examination& found) {
  layout.heading("What auto takes");
  const Expected<Choice>& running = found.writers_running;
  const Expected<Choice>& stopped = found.writers_stopped;
  add_choice(layout, "writers running", running, found);
  if (running && stopped && running->kind == stopped->kind)
    layout.row(running->is_precise() ? Mark::ok : Mark::no, "writers stopped", "the same");
  else
    add_choice(layout, "writers stopped", stopped, found);
}

void add_environment(Layout& layout, const Examination& found) {
  if (found.environment.empty()) return;
  layout.heading("Environment");
  for (const Setting& setting : found.environment)
    layout.row(setting.refusal ? Mark::no : Mark::none, setting.variable->name,
               setting.refusal ? reason_for(*setting.refusal) : setting.value);
  if (found.in_environment) add_choice(layout, "so programs get", *found.in_environment, found);
}

void add_advice(Layout& layout, const Examination& found, const Console& console) {
  layout.heading("What to change for more");
  const std::vector<Advice> all = advice_for(found);
  if (all.empty()) layout.paragraph(2, "", "Nothing: all that Weir can use is there.");
  for (const Advice& advice : all) {
    layout.paragraph(2, "For ", advice.gain);
    for (const Way& way : advice.ways) {
      layout.paragraph(4, "- ", way.what);
      if (!way.command.empty()) layout.line("        " + console.styled(Style::cyan, way.command));
    }
  }
}

const char* sentence_for(Verdict verdict) {
  switch (verdict) {
    case Verdict::precise:
      return "A precise barrier is there.";
    case Verdict::precise_when_stopped:
      return "A precise barrier is there only for programs that stop all writers.";
    case Verdict::imprecise:
      return "No precise barrier is there: every page counts as written.";
  }
  return "";
}

}  // namespace

Verdict verdict_of(const Examination& found) {
  const auto is_precise = [](const Expected<Choice>& choice) {
    return choice && choice->is_precise();
  };
  if (is_precise(found.writers_running)) return Verdict::precise;
  return is_precise(found.writers_stopped) ? Verdict::precise_when_stopped : Verdict::imprecise;
}

std::string to_text(const Examination& found, const Console& console) {
  Layout layout(console);
  const os::Capabilities& system = found.system;
  layout.line(fmt::format("Linux {}, pages of {} bytes, uid {}{}{}", system.kernel_release,
                          system.page_size, found.user,
                          system.has_seccomp_filter ? ", a seccomp filter" : "",
                          system.initial_user_namespace == false ? ", a user namespace" : ""));
  add_kernel(layout, found);
  add_barriers(layout, found);
  add_choices(layout, found);
  add_environment(layout, found);
  add_advice(layout, found, console);
  const Verdict verdict = verdict_of(found);
  layout.line();
  layout.line(console.styled(verdict == Verdict::precise ? Style::green : Style::red,
                             sentence_for(verdict)));
  return layout.take();
}

}  // namespace weir::doctor
