// What `auto` takes on this kernel, for this user: what the probe finds says what it must be, and
// every better barrier is refused with the thing that is missing.
#include "runtime/barrier/selection.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include "runtime/os/probe.hpp"
#include "tests/support/backends.hpp"

using namespace weir;
using namespace weir::test;
using barrier::BarrierOptions;
using barrier::Selection;

namespace {

// What the choice is about, found by other means than the barriers' own self-tests.
struct Machine {
  bool scan;       // WP_ASYNC and PAGEMAP_SCAN
  bool full;       // a full userfaultfd with write protection
  bool user_mode;  // any userfaultfd with write protection
  bool soft_dirty;
  UffdFeatures features;

  static Machine probed() {
    const os::Capabilities found = os::probe();
    const bool wp = found.features.has(UffdFeature::pagefault_flag_wp);
    bool full = false;
    for (const UffdRefusal& rung : found.rungs)
      full |= rung.sys_errno == 0 && rung.path != UffdOpenPath::user_mode_only;
    return {found.has_async(), wp && full, wp && found.open_path.has_value(),
            os::probe_soft_dirty().has_value(), found.features};
  }
};

BarrierKind expected(const Machine& machine, const BarrierOptions& options) {
  if (machine.scan) return BarrierKind::async;
  if (machine.full) return BarrierKind::uffd_thread;
  if (machine.soft_dirty && options.writers_are_stopped) return BarrierKind::soft_dirty;
  if (!options.accept_efault) return BarrierKind::always_dirty;
  return machine.user_mode ? BarrierKind::uffd_sigbus : BarrierKind::mprotect;
}

Selection select(const BarrierOptions& options) {
  auto selection = barrier::select_barrier(options);
  REQUIRE_MESSAGE(selection.has_value(), selection.error().message());
  return std::move(*selection);
}

std::string why_not(const Selection& selection, BarrierKind kind) {
  for (const BarrierRefusal& refusal : selection.refusals)
    if (refusal.kind == kind) return refusal.why.message();
  return "";
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("auto takes the best that the kernel and the options allow") {
  const Machine machine = Machine::probed();
  for (const bool stopped : {false, true}) {
    for (const bool efault : {false, true}) {
      BarrierOptions options;
      options.writers_are_stopped = stopped;
      options.accept_efault = efault;
      const Selection selection = select(options);
      CAPTURE(stopped);
      CAPTURE(efault);
      CHECK(std::string(name_of(selection.barrier->kind())) == name_of(expected(machine, options)));
      // tools/test-kernels compares these lines with what it knows of a kernel.
      std::printf("auto%s%s: %s\n", stopped ? ", writers stopped" : "",
                  efault ? ", EFAULT accepted" : "", name_of(selection.barrier->kind()));
      for (const BarrierRefusal& refusal : selection.refusals)
        std::printf("  not %s: %s\n", name_of(refusal.kind), refusal.why.message().c_str());
    }
  }
}

TEST_CASE("what auto does not take is refused with what is missing") {
  const Machine machine = Machine::probed();
  BarrierOptions stopped;
  stopped.writers_are_stopped = true;
  const Selection with_stopped = select(stopped);
  const Selection running = select({});
  if (!machine.scan && machine.user_mode && !machine.features.has(UffdFeature::wp_async)) {
    CHECK(contains(why_not(running, BarrierKind::async), "this kernel lacks"));
    CHECK(contains(why_not(running, BarrierKind::async), "wp_async"));
    CHECK(contains(why_not(running, BarrierKind::async), "newer kernel"));
  }
  if (machine.scan || machine.full) return;
  CHECK(contains(why_not(running, BarrierKind::soft_dirty), "writers stopped"));
  CHECK(contains(why_not(running, BarrierKind::mprotect), "EFAULT"));
  if (machine.user_mode) {  // a permission is missing, not a kernel: what to change is said
    CHECK(contains(why_not(running, BarrierKind::uffd_thread), "vm.unprivileged_userfaultfd"));
    CHECK(contains(why_not(running, BarrierKind::uffd_sigbus), "EFAULT"));
  }
  if (!machine.soft_dirty)
    CHECK(contains(why_not(with_stopped, BarrierKind::soft_dirty), "self-test"));
}
