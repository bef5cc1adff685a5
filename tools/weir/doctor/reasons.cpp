#include "tools/weir/doctor/reasons.hpp"

#include <fmt/format.h>

#include <cerrno>

#include "runtime/os/errno_name.hpp"

namespace weir::doctor {
namespace {

std::string why_not_device(int sys_errno, const os::Capabilities& system) {
  switch (sys_errno) {
    case ENOENT:
      if (!system.kernel_has_device) return "there is no such file";
      return *system.kernel_has_device ? "the kernel has the device, but this /dev does not show it"
                                       : "this kernel has no such device (Linux 6.1 or newer has)";
    case EACCES:
      return "this user may not open the file";
    case EPERM:
      return "the device rules of this container forbid to open the file";
    case ENOTTY:
    case EINVAL:
      return "the file there is not the userfaultfd device";
    case ENXIO:
    case ENODEV:
      return "the kernel has no device behind the file";
    default:
      return os::errno_text(sys_errno);
  }
}

std::string why_no_privilege(const os::Capabilities& system) {
  if (system.has_ptrace_capability && system.initial_user_namespace == false)
    return "CAP_SYS_PTRACE does not count in a user namespace, and vm.unprivileged_userfaultfd is "
           "0";
  return "needs CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1";
}

std::string why_not_call(int sys_errno, const Examination& found) {
  switch (sys_errno) {
    case EPERM:
    case EACCES:
    case ENOSYS:
      if (lacks_privilege(found)) return why_no_privilege(found.system);
      if (is_filtered(found)) return "the seccomp filter of this container or sandbox refuses it";
      if (is_absent(found)) return "this kernel has no userfaultfd, or a sandbox hides it";
      return "refused, most likely by a security module (SELinux, AppArmor)";
    case EINVAL:
      return "this kernel does not know the mode (Linux 5.11 or newer does)";
    default:
      return os::errno_text(sys_errno);
  }
}

}  // namespace

// The kernel itself refuses the user-mode-only call to nobody, save where it does not have it.
bool is_filtered(const Examination& found) {
  const int refusal = found.rung(UffdOpenPath::user_mode_only).sys_errno;
  const bool refused = refusal == EPERM || refusal == EACCES || refusal == ENOSYS;
  return found.system.has_seccomp_filter && refused && !is_absent(found);
}

bool lacks_privilege(const Examination& found) {
  if (found.rung(UffdOpenPath::system_call).sys_errno != EPERM || is_filtered(found)) return false;
  const os::Capabilities& system = found.system;
  const bool capable = system.has_ptrace_capability && system.initial_user_namespace != false;
  return !capable && system.unprivileged_userfaultfd.value_or(0) == 0;
}

bool is_absent(const Examination& found) {
  const bool seen = found.opens(UffdOpenPath::device) || found.system.kernel_has_device == true ||
                    found.system.unprivileged_userfaultfd.has_value();
  return found.rung(UffdOpenPath::user_mode_only).sys_errno == ENOSYS && !seen;
}

std::string reason_for(const UffdRefusal& rung, const Examination& found) {
  const std::string reason = rung.path == UffdOpenPath::device
                                 ? why_not_device(rung.sys_errno, found.system)
                                 : why_not_call(rung.sys_errno, found);
  return fmt::format("{} ({})", reason, os::errno_name(rung.sys_errno));
}

std::string reason_for(const Error& error) {
  const std::string detail(error.detail.view());
  const char* name = error.sys_errno == 0 ? nullptr : os::errno_name(error.sys_errno);
  const bool says_all =
      error.code == ErrorCode::unsupported || error.code == ErrorCode::self_test_failed;
  if (says_all && !detail.empty())
    return name == nullptr ? detail : fmt::format("{} ({})", detail, name);
  std::string reason = error.what;
  if (name != nullptr) reason += fmt::format(": {} ({})", os::errno_text(error.sys_errno), name);
  return detail.empty() ? reason : reason + ": " + detail;
}

}  // namespace weir::doctor
