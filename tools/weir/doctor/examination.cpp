#include "tools/weir/doctor/examination.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace weir::doctor {
namespace {

using barrier::Barrier;

std::unique_ptr<Barrier> open(BarrierFinding& finding) {
  auto barrier = barrier::open_barrier(finding.kind);
  if (!barrier && finding.kind == BarrierKind::uffd_thread) {
    if (auto in_user_mode = barrier::open_barrier(finding.kind, {}, true); in_user_mode) {
      finding.full_refusal = barrier.error();
      barrier = std::move(in_user_mode);
    }
  }
  if (!barrier) {
    finding.refusal = barrier.error();
    return nullptr;
  }
  finding.traits = (*barrier)->traits();
  return std::move(*barrier);
}

std::vector<BarrierFinding> examine_barriers() {
  std::vector<BarrierFinding> findings;
  std::vector<std::unique_ptr<Barrier>> opened;
  for (const BarrierKind kind : kBarrierKinds) {
    findings.push_back({kind, {}, {}, {}, {}});
    opened.push_back(open(findings.back()));
  }
  std::vector<Barrier*> working;
  for (const auto& barrier : opened)
    if (barrier) working.push_back(barrier.get());
  const auto costs = measure_first_writes(working);
  auto cost = costs.begin();
  for (BarrierFinding& finding : findings)
    if (finding.works()) finding.first_write = *cost++;
  return findings;
}

Expected<Choice> choice_of(Expected<barrier::Selection> selection) {
  if (!selection) return Unexpected(selection.error());
  return Choice{selection->barrier->kind(), std::move(selection->refusals)};
}

std::vector<Setting> examine_environment() {
  std::vector<Setting> settings;
  for (const os::VariableInfo& variable : os::environment_variables()) {
    const char* value = std::getenv(variable.name);
    if (value == nullptr || *value == '\0') continue;
    Setting setting{&variable, value, {}};
    if (auto allowed = os::environment(variable.variable); !allowed)
      setting.refusal = allowed.error();
    settings.push_back(std::move(setting));
  }
  return settings;
}

bool decides_over_barriers(const Setting& setting) {
  return setting.variable->variable == os::Variable::barrier ||
         setting.variable->variable == os::Variable::delivery;
}

}  // namespace

const BarrierFinding& Examination::barrier(BarrierKind kind) const {
  return *std::ranges::find(barriers, kind, &BarrierFinding::kind);
}

const UffdRefusal& Examination::rung(UffdOpenPath path) const {
  return *std::ranges::find(system.rungs, path, &UffdRefusal::path);
}

Examination examine() {
  Examination found;
  if (auto soft_dirty = os::probe_soft_dirty(); !soft_dirty)
    found.soft_dirty_refusal = soft_dirty.error();
  found.system = os::probe();
  found.user = ::geteuid();
  found.barriers = examine_barriers();

  barrier::BarrierOptions options;
  found.writers_running = choice_of(barrier::select_best_barrier(options));
  if (found.environment = examine_environment();
      std::ranges::any_of(found.environment, decides_over_barriers))
    found.in_environment = choice_of(barrier::select_barrier(options));
  options.writers_are_stopped = true;
  found.writers_stopped = choice_of(barrier::select_best_barrier(options));
  return found;
}

}  // namespace weir::doctor
