#include "runtime/os/userfaultfd_open.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "runtime/os/abi.hpp"
#include "runtime/os/errno_name.hpp"

namespace weir {
namespace os {

int open_userfaultfd(UffdOpenPath path, int flags) {
  long fd = -1;
  if (path == UffdOpenPath::device) {
    const int device = ::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0) return -errno;
    fd = ::ioctl(device, abi::kNewUserfaultfd, flags);
    if (fd < 0) fd = -errno;
    ::close(device);
    return static_cast<int>(fd);
  }
  if (path == UffdOpenPath::user_mode_only) flags |= abi::kUserModeOnly;
  fd = ::syscall(SYS_userfaultfd, flags);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

Expected<UffdAgreement> agree_on(int fd, UffdFeatures features) {
  abi::UffdioApi api{abi::kUffdApi, features.bits(), 0};
  if (::ioctl(fd, abi::kApi, &api) != 0) {
    return system_error(errno, "agreeing on userfaultfd features", {},
                        errno == EPERM ? "the fork event needs CAP_SYS_PTRACE" : "");
  }
  return UffdAgreement{UffdFeatures::from_bits(api.features), UffdIoctls::from_bits(api.ioctls)};
}

}  // namespace os

namespace {

constexpr const char* kOpening = "opening a userfaultfd";

constexpr UffdIoctls kDescriptorIoctls = {UffdIoctl::api, UffdIoctl::register_range,
                                          UffdIoctl::unregister};

// The refusals of one walk down the ladder.
struct Refusals {
  std::array<UffdRefusal, os::kUffdLadder.size()> list;
  std::size_t count = 0;

  Error as_error() const {
    char text[160] = "";
    std::size_t used = 0;
    bool absent = true;  // no rung is there at all, rather than forbidden
    for (std::size_t i = 0; i < count && used < sizeof text; ++i) {
      const int sys_errno = list[i].sys_errno;
      used += static_cast<std::size_t>(std::snprintf(text + used, sizeof text - used, "%s%s: %s",
                                                     i == 0 ? "" : ", ", name_of(list[i].path),
                                                     os::errno_name(sys_errno)));
      absent = absent && (sys_errno == ENOSYS || sys_errno == ENOENT || sys_errno == ENODEV);
    }
    if (absent) {
      return Error{ErrorCode::unsupported,
                   0,
                   kOpening,
                   "use a kernel with CONFIG_USERFAULTFD, and a sandbox that lets it through",
                   {},
                   text};
    }
    const int last = count == 0 ? 0 : list[count - 1].sys_errno;
    const bool forbidden = last == EPERM || last == EACCES || last == ENOSYS || last == ENOENT;
    return Error{forbidden ? ErrorCode::no_permission : ErrorCode::system,
                 0,
                 kOpening,
                 forbidden ? "give access to /dev/userfaultfd, or CAP_SYS_PTRACE, or set "
                             "vm.unprivileged_userfaultfd=1; in a container, allow userfaultfd in "
                             "its seccomp profile"
                           : "",
                 {},
                 text};
  }
};

struct Opened {
  MemoryFd fd;
  UffdOpenPath path;
};

// The first rung of `from`.. that holds; the others are noted.
Expected<Opened> climb(std::span<const UffdOpenPath> ladder, int flags, ForkPolicy policy,
                       Refusals& refusals) {
  for (UffdOpenPath path : ladder) {
    const int fd = os::open_userfaultfd(path, flags);
    if (fd >= 0) return Opened{MemoryFd(fd, policy), path};
    refusals.list[refusals.count++] = {path, -fd};
  }
  return Unexpected(refusals.as_error());
}

Error missing_features(UffdFeatures missing) {
  char text[160] = "";
  std::size_t used = 0;
  for (std::uint64_t bit = 1; bit != 0 && used < sizeof text; bit <<= 1) {
    const auto feature = static_cast<UffdFeature>(bit);
    if (missing.has(feature)) {
      used += static_cast<std::size_t>(std::snprintf(text + used, sizeof text - used, "%s%s",
                                                     used == 0 ? "this kernel lacks " : ", ",
                                                     name_of(feature)));
    }
  }
  return Error{ErrorCode::unsupported, 0, kOpening, "use a newer kernel", {}, text};
}

Expected<UffdFeatures> features_by(UffdOpenPath path) {
  const int raw = os::open_userfaultfd(path, O_CLOEXEC | O_NONBLOCK);
  if (raw < 0) return system_error(-raw, kOpening);
  const MemoryFd throwaway(raw);
  return os::agree_on(raw, {}).map([](const os::UffdAgreement& all) { return all.available; });
}

}  // namespace

Expected<UffdFeatures> Userfaultfd::available_features() {
  Refusals refusals;
  auto opened =
      climb(os::kUffdLadder, O_CLOEXEC | O_NONBLOCK, ForkPolicy::close_in_child, refusals);
  if (!opened) return Unexpected(opened.error());
  return os::agree_on(opened->fd.get(), {}).map([](const os::UffdAgreement& all) {
    return all.available;
  });
}

Expected<Userfaultfd> Userfaultfd::Builder::create() const {
  if (user_mode_only_ && require_full_)
    return fail(ErrorCode::invalid_argument, kOpening,
                "user_mode_only and require_full exclude each other");
  if (!ioctls_.without(kDescriptorIoctls).empty())
    return fail(ErrorCode::invalid_argument, kOpening,
                "require_ioctls takes api, register_range and unregister; the other ioctls depend "
                "on the memory, and register_range returns them");

  std::span<const UffdOpenPath> ladder = os::kUffdLadder;
  if (user_mode_only_) ladder = ladder.last(1);
  if (require_full_) ladder = ladder.first(2);
  const int flags = (close_on_exec_ ? O_CLOEXEC : 0) | (non_blocking_ ? O_NONBLOCK : 0);
  Refusals refusals;
  auto opened = climb(ladder, flags, policy_, refusals);
  if (!opened) return Unexpected(opened.error());

  // The handshake can be made once per descriptor, and tells what there is only after one has said
  // what one wants: so a throwaway descriptor is asked first.
  const auto available = features_by(opened->path);
  if (!available) return Unexpected(available.error());
  if (!available->has_all(required_))
    return Unexpected(missing_features(required_.without(*available)));

  UffdFeatures features = required_ | (wanted_ & *available);
  auto agreed = os::agree_on(opened->fd.get(), features);
  if (!agreed && agreed.error().sys_errno == EPERM && !required_.has(UffdFeature::event_fork)) {
    features = features.without(UffdFeature::event_fork);  // was only wanted, and is privileged
    agreed = os::agree_on(opened->fd.get(), features);
  }
  if (!agreed) return Unexpected(agreed.error());
  if (!agreed->ioctls.has_all(ioctls_))
    return fail(ErrorCode::unsupported, kOpening, "the descriptor lacks a required ioctl");
  if (features.has(UffdFeature::wp_async)) features |= UffdFeature::wp_unpopulated;  // implied

  Userfaultfd uffd;
  uffd.fd_ = std::move(opened->fd);
  uffd.path_ = opened->path;
  uffd.features_ = features;
  std::copy_n(refusals.list.begin(), refusals.count, uffd.refusals_);
  uffd.refusal_count_ = refusals.count;
  return uffd;
}

}  // namespace weir
