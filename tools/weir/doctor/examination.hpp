// What the doctor finds out about this machine, for this user: facts, in no words yet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/barrier/selection.hpp"
#include "runtime/os/environment.hpp"
#include "runtime/os/probe.hpp"
#include "tools/weir/doctor/first_write.hpp"

namespace weir::doctor {

struct BarrierFinding {
  BarrierKind kind;
  std::optional<Error> refusal;  // nullopt: it passed its self-test
  BarrierTraits traits;          // of one that passed
  // uffd-thread passed with a descriptor that is user-mode-only; why there is no full one.
  std::optional<Error> full_refusal;
  std::optional<Expected<FirstWrite>> first_write;  // of one that passed
  bool works() const { return !refusal; }
};

struct Choice {
  BarrierKind kind;
  std::vector<BarrierRefusal> refusals;  // of better ones, best first
  bool is_precise() const { return kind != BarrierKind::always_dirty; }
};

struct Setting {  // a WEIR_* variable that is set
  const os::VariableInfo* variable;
  std::string value;
  std::optional<Error> refusal;
};

struct Examination {
  os::Capabilities system;
  unsigned user = 0;  // the effective uid
  std::optional<Error> soft_dirty_refusal;
  std::vector<BarrierFinding> barriers;  // in the order of kBarrierKinds
  // What `auto` takes, whatever the environment says.
  Expected<Choice> writers_running;
  Expected<Choice> writers_stopped;
  std::vector<Setting> environment;
  // What programs that leave the choice to `auto` get in this environment, where it has a say.
  std::optional<Expected<Choice>> in_environment;

  const BarrierFinding& barrier(BarrierKind kind) const;
  const UffdRefusal& rung(UffdOpenPath path) const;
  bool opens(UffdOpenPath path) const { return rung(path).sys_errno == 0; }
  bool has_full_userfaultfd() const {
    return opens(UffdOpenPath::device) || opens(UffdOpenPath::system_call);
  }
};

// Takes a second at most, save on emulated machines. Before other threads are started.
Examination examine();

}  // namespace weir::doctor
