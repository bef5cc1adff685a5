#include "tools/weir/doctor/advice.hpp"

#include <cerrno>

#include "tools/weir/doctor/reasons.hpp"

namespace weir::doctor {
namespace {

constexpr std::size_t kManyMappings = 1 << 20;

bool is_precise(const Expected<Choice>& choice) {
  return choice && choice->is_precise();
}

bool has_async(const Examination& found) {
  return found.barrier(BarrierKind::async).works();
}

// Ways that concern /dev/userfaultfd.
void add_device_ways(const Examination& found, std::vector<Way>& ways) {
  switch (found.rung(UffdOpenPath::device).sys_errno) {
    case EACCES:
      ways.push_back(
          {"give a group of users the device, by a file in /etc/udev/rules.d (on the host)",
           R"(KERNEL=="userfaultfd", GROUP="userfaultfd", MODE="0660")"});
      return;
    case ENOENT:
      if (found.system.kernel_has_device == false) return;  // there is nothing to show
      [[fallthrough]];
    case EPERM:
    case ENOTTY:
    case ENXIO:
      ways.push_back({"let the container have the device; seccomp does not concern it",
                      "docker run --device /dev/userfaultfd ..."});
      return;
    default:
      return;
  }
}

void add_privilege_ways(const Examination& found, std::vector<Way>& ways) {
  ways.push_back(
      {"let every user have it (on the host, as root)", "sysctl -w vm.unprivileged_userfaultfd=1"});
  if (found.system.initial_user_namespace == false) return;  // capabilities are worth nothing here
  ways.push_back({"give the program the capability; in a container: --cap-add SYS_PTRACE",
                  "setcap cap_sys_ptrace+ep PROGRAM"});
}

void add_filter_ways(std::vector<Way>& ways) {
  ways.push_back(
      {"let the system call through, in a copy of the container's seccomp profile",
       "docker run --security-opt seccomp=PROFILE.json ...   # \"userfaultfd\" in names"});
  ways.push_back({"in a systemd unit with a SystemCallFilter", "SystemCallFilter=userfaultfd"});
}

// No descriptor at all, not even for user mode.
Advice any_userfaultfd(const Examination& found) {
  Advice advice{"userfaultfd", "userfaultfd, on which the better barriers stand", {}};
  if (is_absent(found)) {
    advice.ways.push_back(
        {"use a kernel with CONFIG_USERFAULTFD, and a sandbox that lets it through", ""});
    return advice;
  }
  add_device_ways(found, advice.ways);
  if (is_filtered(found)) add_filter_ways(advice.ways);
  if (lacks_privilege(found)) add_privilege_ways(found, advice.ways);
  if (advice.ways.empty())
    advice.ways.push_back({"let the security module (SELinux, AppArmor) allow userfaultfd", ""});
  return advice;
}

Advice full_userfaultfd(const Examination& found) {
  Advice advice{"full-userfaultfd",
                has_async(found)
                    ? "pages that are filled when they are first touched, also by system calls"
                    : "uffd-thread: precise while writers run, and sees writes by system calls",
                {}};
  add_device_ways(found, advice.ways);
  if (lacks_privilege(found)) add_privilege_ways(found, advice.ways);
  return advice;
}

void add_barrier_advice(const Examination& found, std::vector<Advice>& all) {
  const os::Capabilities& system = found.system;
  if (!system.proc_shows_us)
    all.push_back({"proc",
                   system.features.has(UffdFeature::wp_async)
                       ? "async, which reads /proc/self/pagemap"
                       : "soft-dirty, if the kernel has it: it reads /proc/self/pagemap",
                   {{"mount /proc for this process's pid namespace", "mount -t proc proc /proc"}}});
  if (system.open_path && !system.features.has(UffdFeature::wp_async))
    all.push_back({"kernel",
                   "async: the cheapest barrier, without privilege, precise while writers run",
                   {{"use Linux 6.7 or newer", ""}}});
}

// What a program may promise, where nothing better is to be had as things are.
void add_promises(const Examination& found, std::vector<Advice>& all) {
  if (is_precise(found.writers_running)) return;
  if (is_precise(found.writers_stopped))
    all.push_back({"stop-writers",
                   "soft-dirty: precise, if all writers are stopped during watch() and take()",
                   {{"promise it in the program", "DirtyTracker::Options::writers_are_stopped"}}});
  for (const BarrierKind kind :
       {BarrierKind::uffd_sigbus, BarrierKind::uffd_thread, BarrierKind::mprotect}) {
    if (!found.barrier(kind).works()) continue;
    const std::string name = name_of(kind);
    all.push_back({"accept-efault",
                   name + ": precise, if system calls that write into watched memory may fail",
                   {{"accept EFAULT in the program", "DirtyTracker::Options::accept_efault"},
                    {"or name the barrier when it is started", "WEIR_BARRIER=" + name}}});
    if (kind == BarrierKind::mprotect && found.system.max_map_count.value_or(0) < kManyMappings)
      all.push_back({"max-map-count",
                     "mprotect: exact when more runs of pages are written in one cycle",
                     {{"allow more mappings (on the host)",
                       "sysctl -w vm.max_map_count=" + std::to_string(kManyMappings)}}});
    break;
  }
}

}  // namespace

std::vector<Advice> advice_for(const Examination& found) {
  std::vector<Advice> all;
  add_barrier_advice(found, all);
  if (!found.system.open_path)
    all.push_back(any_userfaultfd(found));
  else if (!found.has_full_userfaultfd())
    all.push_back(full_userfaultfd(found));
  add_promises(found, all);
  return all;
}

}  // namespace weir::doctor
