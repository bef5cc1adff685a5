#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <weir/userfaultfd.hpp>

#include "runtime/os/abi.hpp"
#include "runtime/os/page_size.hpp"

namespace weir {
namespace {

namespace abi = os::abi;

abi::UffdioRange kernel_range(Range range) {
  return {range.begin.value(), range.size};
}

UffdOutcome outcome_of(int sys_errno) {
  switch (sys_errno) {
    case EEXIST:
      return UffdOutcome::exists;
    case EAGAIN:
      return UffdOutcome::again;
    case ENOENT:
      return UffdOutcome::not_found;
    case ESRCH:
    case ENOSPC:  // what old kernels say of a process that is gone
      return UffdOutcome::no_such_process;
    case ENOMEM:
      return UffdOutcome::no_memory;
    case EFAULT:
      return UffdOutcome::bad_address;
    case EINVAL:
      return UffdOutcome::invalid;
    case EBUSY:
      return UffdOutcome::busy;
    case EBADF:
    case ENOTTY:
      return UffdOutcome::closed;
    case EINTR:
      return UffdOutcome::interrupted;
    default:
      return UffdOutcome::failed;
  }
}

ErrorCode code_of(UffdOutcome outcome) {
  switch (outcome) {
    case UffdOutcome::exists:
      return ErrorCode::exists;
    case UffdOutcome::partial:
    case UffdOutcome::again:
      return ErrorCode::again;
    case UffdOutcome::not_found:
      return ErrorCode::not_registered;
    case UffdOutcome::no_memory:
      return ErrorCode::out_of_memory;
    case UffdOutcome::bad_address:
    case UffdOutcome::invalid:
      return ErrorCode::invalid_argument;
    case UffdOutcome::busy:
      return ErrorCode::busy;
    case UffdOutcome::no_such_process:
    case UffdOutcome::closed:
      return ErrorCode::closed;
    case UffdOutcome::done:
    case UffdOutcome::interrupted:
    case UffdOutcome::failed:
      return ErrorCode::system;
  }
  return ErrorCode::system;
}

// `count` is the structure's out field: bytes done, or a negative errno. It was preset to 0, since
// the kernel leaves it alone on EINVAL; and only the errno tells what kind of failure it was: a
// COPY that stops at a populated page is EAGAIN with a positive count.
UffdResult operate(int fd, unsigned long request, void* argument, const std::int64_t& count,
                   std::size_t bytes) {
  if (::ioctl(fd, request, argument) == 0) return {UffdOutcome::done, bytes, 0};
  const int sys_errno = errno;
  if (count > 0) return {UffdOutcome::partial, static_cast<std::size_t>(count), sys_errno};
  return {outcome_of(sys_errno), 0, sys_errno};
}

// For those without an out field.
UffdResult operate(int fd, unsigned long request, void* argument, std::size_t bytes) {
  if (::ioctl(fd, request, argument) == 0) return {UffdOutcome::done, bytes, 0};
  return {outcome_of(errno), 0, errno};
}

std::uint64_t dont_wake(WakeMode wake, std::uint64_t bit) {
  return wake == WakeMode::dont_wake ? bit : 0;
}

// msync with MS_ASYNC does nothing but to look whether all of the range is mapped.
bool is_mapped(Range range) {
  return ::msync(range.begin.as(), range.size, MS_ASYNC) == 0;
}

Expected<> check_pages(Range range, const char* what) {
  if (range.empty() || !range.is_aligned(os::page_size()))
    return fail(ErrorCode::misaligned, what, "a range is one or more whole pages", range);
  return {};
}

}  // namespace

Error error_of(const UffdResult& result, const char* what, Range where) {
  Error error{code_of(result.outcome), result.sys_errno, what, "", where, {}};
  if (result.outcome == UffdOutcome::partial) {
    char text[64];
    std::snprintf(text, sizeof text, "stopped after %zu bytes", result.bytes);
    error.detail = text;
  }
  return error;
}

Userfaultfd Userfaultfd::from_raw_fd(int fd, UffdFeatures features, UffdForkPolicy policy) {
  Userfaultfd uffd;
  uffd.fd_ = MemoryFd(fd, policy);
  uffd.features_ = features;
  return uffd;
}

int Userfaultfd::release() {
  return fd_.release();
}

Expected<UffdIoctls> Userfaultfd::register_range(Range range) {
  return register_with_mode(range, RegisterMode::missing);
}

Expected<UffdIoctls> Userfaultfd::register_with_mode(Range range, RegisterModes modes) {
  constexpr const char* kWhat = "registering memory with userfaultfd";
  if (auto whole = check_pages(range, kWhat); !whole) return Unexpected(whole.error());
  // The kernel passes over holes in the range in silence.
  if (!is_mapped(range))
    return fail(ErrorCode::not_registered, kWhat, "a part of it is not mapped", range);
  abi::UffdioRegister argument{kernel_range(range), modes.bits(), 0};
  if (::ioctl(fd(), abi::kRegister, &argument) == 0) return UffdIoctls::from_bits(argument.ioctls);

  const int sys_errno = errno;
  Unexpected error = system_error(sys_errno, kWhat, range);
  if (sys_errno == EBUSY) {
    error.value().detail = "another userfaultfd has it";
  } else if (sys_errno == ENOTTY) {
    error.value().code = ErrorCode::closed;
  } else if (sys_errno == EPERM) {
    error.value().code = ErrorCode::unsupported;
    error.value().detail = "it can never be writable";
  } else if (sys_errno == EINVAL && !modes.empty()) {
    error.value().code = ErrorCode::unsupported;
    error.value().detail =
        "this kind of memory, or this kernel, does not have this mode, or not without a feature";
    error.value().advice =
        "synchronous modes need anonymous memory, shmem or hugetlbfs; file mappings only wp_async";
  }
  return error;
}

Expected<> Userfaultfd::unregister(Range range) {
  constexpr const char* kWhat = "unregistering memory from userfaultfd";
  if (auto whole = check_pages(range, kWhat); !whole) return whole;
  abi::UffdioRange argument = kernel_range(range);
  if (::ioctl(fd(), abi::kUnregister, &argument) == 0) return {};
  Unexpected error = system_error(errno, kWhat, range);
  if (error.value().sys_errno == ENOTTY) error.value().code = ErrorCode::closed;
  if (error.value().sys_errno == EINVAL) {
    error.value().code = ErrorCode::not_registered;
    error.value().detail = "nothing is mapped there, or another userfaultfd has it";
  }
  return error;
}

UffdResult Userfaultfd::copy(Address to, const void* from, std::size_t bytes, CopyMode mode,
                             WakeMode wake) const {
  abi::UffdioCopy argument{to.value(), Address(from).value(), bytes,
                           dont_wake(wake, abi::kCopyDontWake), 0};
  if (mode == CopyMode::write_protected) argument.mode |= abi::kCopyWp;
  return operate(fd(), abi::kCopy, &argument, argument.copy, bytes);
}

UffdResult Userfaultfd::zeropage(Range range, WakeMode wake) const {
  abi::UffdioZeropage argument{kernel_range(range), dont_wake(wake, abi::kZeropageDontWake), 0};
  return operate(fd(), abi::kZeropage, &argument, argument.zeropage, range.size);
}

UffdResult Userfaultfd::continue_range(Range range, CopyMode mode, WakeMode wake) const {
  abi::UffdioContinue argument{kernel_range(range), dont_wake(wake, abi::kContinueDontWake), 0};
  if (mode == CopyMode::write_protected) argument.mode |= abi::kContinueWp;
  return operate(fd(), abi::kContinue, &argument, argument.mapped, range.size);
}

UffdResult Userfaultfd::poison(Range range, WakeMode wake) const {
  abi::UffdioPoison argument{kernel_range(range), dont_wake(wake, abi::kPoisonDontWake), 0};
  return operate(fd(), abi::kPoison, &argument, argument.updated, range.size);
}

UffdResult Userfaultfd::move(Address to, Address from, std::size_t bytes, bool allow_source_holes,
                             WakeMode wake) const {
  abi::UffdioMove argument{to.value(), from.value(), bytes, dont_wake(wake, abi::kMoveDontWake), 0};
  if (allow_source_holes) argument.mode |= abi::kMoveAllowSourceHoles;
  return operate(fd(), abi::kMove, &argument, argument.move, bytes);
}

UffdResult Userfaultfd::write_protect(Range range) const {
  abi::UffdioWriteprotect argument{kernel_range(range), abi::kWriteprotectWp};
  return operate(fd(), abi::kWriteprotect, &argument, range.size);
}

UffdResult Userfaultfd::remove_write_protection(Range range, WakeMode wake) const {
  abi::UffdioWriteprotect argument{kernel_range(range),
                                   dont_wake(wake, abi::kWriteprotectDontWake)};
  return operate(fd(), abi::kWriteprotect, &argument, range.size);
}

UffdResult Userfaultfd::wake(Range range) const {
  abi::UffdioRange argument = kernel_range(range);
  return operate(fd(), abi::kWake, &argument, range.size);
}

Expected<UffdInfo> Userfaultfd::info() const {
  constexpr const char* kWhat = "reading a userfaultfd's /proc/self/fdinfo";
  if (!is_open()) return fail(ErrorCode::closed, kWhat);
  char text[512];
  std::snprintf(text, sizeof text, "/proc/self/fdinfo/%d", fd());
  const int file = ::open(text, O_RDONLY | O_CLOEXEC);
  if (file < 0) return system_error(errno, kWhat);
  const ssize_t size = ::read(file, text, sizeof text - 1);
  const int sys_errno = errno;
  ::close(file);
  if (size < 0) return system_error(sys_errno, kWhat);
  text[size] = '\0';

  const char* fields = std::strstr(text, "pending:");
  std::uint64_t pending = 0, total = 0, features = 0;
  if (fields == nullptr ||
      std::sscanf(fields, "pending:%" SCNu64 " total:%" SCNu64 " API:%*x:%" SCNx64, &pending,
                  &total, &features) != 3)
    return fail(ErrorCode::closed, kWhat, "it is not a userfaultfd");
  return UffdInfo{pending, total, UffdFeatures::from_bits(features & ~abi::kFeatureInitialized)};
}

}  // namespace weir
