#include "runtime/os/probe.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/pagemap.hpp"
#include "runtime/os/userfaultfd_open.hpp"

namespace weir::os {
namespace {

template <class Value>
std::optional<Value> read_file(const char* path) {
  std::ifstream file(path);
  Value value;
  if (file >> value) return value;
  return std::nullopt;
}

// A file of lines that each have a number and a name.
std::optional<bool> lists(const char* path, std::string_view wanted) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  for (std::string number, name; file >> number >> name;)
    if (name == wanted) return true;
  return false;
}

// Only there do uids mean themselves, all of them.
std::optional<bool> in_initial_user_namespace() {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0;
  if (!(map >> inside >> outside >> count)) return std::nullopt;
  return inside == 0 && outside == 0 && count == std::numeric_limits<std::uint32_t>::max();
}

bool has_ptrace_capability() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  return (data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective & CAP_TO_MASK(CAP_SYS_PTRACE)) != 0;
}

void probe_confinement(Capabilities& found) {
  found.kernel_has_device = lists("/proc/misc", "userfaultfd");
  found.initial_user_namespace = in_initial_user_namespace();
  found.has_ptrace_capability = has_ptrace_capability();
  found.has_seccomp_filter = ::prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER;
  found.proc_shows_us = ::access("/proc/self/stat", F_OK) == 0;
}

void probe_userfaultfd(Capabilities& found) {
  for (UffdOpenPath path : kUffdLadder) {
    const int fd = open_userfaultfd(path, O_CLOEXEC | O_NONBLOCK);
    found.rungs.push_back({path, fd < 0 ? -fd : 0});
    if (fd < 0) continue;
    const MemoryFd owned(fd);
    const auto all = agree_on(fd, {});
    if (!all) {
      found.rungs.back().sys_errno = all.error().sys_errno;
    } else if (!found.open_path) {
      found.open_path = path;
      found.features = all->available;
    }
  }
}

Expected<> try_pagemap_scan() {
  auto memory = Mapping::anonymous(page_size());
  if (!memory) return Unexpected(memory.error());
  auto pagemap = Pagemap::open();
  if (!pagemap) return Unexpected(pagemap.error());
  *memory->as<volatile char>() = 1;
  ScanQuery present;
  present.all_of = present.report = PageCategory::present;
  present.check_wp_async = false;  // nothing is registered
  std::size_t bytes = 0;
  PageRegion buffer[1];
  const auto scanned = pagemap->scan(memory->range(), present, buffer,
                                     [&](Range run, PageCategories) { bytes += run.size; });
  if (!scanned) return Unexpected(scanned.error());
  if (bytes != page_size())
    return fail(ErrorCode::self_test_failed, "trying PAGEMAP_SCAN", "a written page was not found");
  return {};
}

// Arms a populated page, writes it, and expects exactly that to be reported.
Expected<> try_async() {
  constexpr const char* kWhat = "trying WP_ASYNC and PAGEMAP_SCAN";
  auto uffd = Userfaultfd::Builder().require_features(UffdFeature::wp_async).create();
  if (!uffd) return Unexpected(uffd.error());
  auto memory = Mapping::anonymous(page_size());
  if (!memory) return Unexpected(memory.error());
  auto pagemap = Pagemap::open();
  if (!pagemap) return Unexpected(pagemap.error());
  volatile char* byte = memory->as<char>();
  *byte = 1;
  if (auto done = uffd->register_with_mode(memory->range(), RegisterMode::write_protect); !done)
    return Unexpected(done.error());
  if (auto done = pagemap->rearm(memory->range()); !done) return done;

  ScanQuery written;
  written.all_of = written.report = PageCategory::written;
  const auto count = [&]() -> Expected<std::size_t> {
    std::size_t bytes = 0;
    PageRegion buffer[1];
    const auto scanned = pagemap->scan(memory->range(), written, buffer,
                                       [&](Range run, PageCategories) { bytes += run.size; });
    if (!scanned) return Unexpected(scanned.error());
    return bytes;
  };
  const auto before = count();
  if (!before) return Unexpected(before.error());
  *byte = 2;
  const auto after = count();
  if (!after) return Unexpected(after.error());
  if (*before != 0 || *after != page_size())
    return fail(ErrorCode::self_test_failed, kWhat,
                *before != 0 ? "an armed page was reported as written"
                             : "a write to an armed page was not reported");
  return {};
}

enum class SoftDirtyTrial { works, no_pagemap, no_clear_refs, refused, not_cleared, not_recorded };

// In a child after fork(2): async-signal-safe calls only.
SoftDirtyTrial try_soft_dirty(volatile char* page) {
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return SoftDirtyTrial::no_pagemap;
  const auto is_dirty = [&] {
    std::uint64_t entry = 0;
    const auto offset = (Address(page).value() >> page_shift()) * sizeof entry;
    const bool read_it =
        ::pread(pagemap, &entry, sizeof entry, static_cast<off_t>(offset)) == sizeof entry;
    return read_it && (entry & kEntrySoftDirty) != 0;
  };
  const int clear_refs = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (clear_refs < 0) return SoftDirtyTrial::no_clear_refs;
  *page = 1;
  if (::write(clear_refs, "4", 1) != 1) return SoftDirtyTrial::refused;
  if (is_dirty()) return SoftDirtyTrial::not_cleared;
  *page = 2;
  return is_dirty() ? SoftDirtyTrial::works : SoftDirtyTrial::not_recorded;
}

}  // namespace

Capabilities probe() {
  Capabilities found;
  utsname name;
  if (::uname(&name) == 0) found.kernel_release = name.release;
  found.page_size = page_size();
  probe_userfaultfd(found);
  probe_confinement(found);
  if (auto scan = try_pagemap_scan(); !scan) found.pagemap_scan_refusal = scan.error();
  if (auto tracked = try_async(); !tracked) found.async_refusal = tracked.error();
  found.transparent_huge_pages = huge_page_setting();
  found.max_map_count = read_file<std::size_t>("/proc/sys/vm/max_map_count");
  found.unprivileged_userfaultfd = read_file<int>("/proc/sys/vm/unprivileged_userfaultfd");
  return found;
}

Expected<> probe_soft_dirty() {
  constexpr const char* kWhat = "trying soft-dirty in a child";
  constexpr const char* kMountProc = "mount /proc for this process's pid namespace";
  auto memory = Mapping::anonymous(page_size(), HugePages::never);
  if (!memory) return Unexpected(memory.error());
  const pid_t child = ::fork();
  if (child < 0) return system_error(errno, kWhat);
  if (child == 0) ::_exit(static_cast<int>(try_soft_dirty(memory->as<char>())));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return system_error(errno, kWhat);
  if (!WIFEXITED(status)) return fail(ErrorCode::system, kWhat, "the child was killed");
  switch (static_cast<SoftDirtyTrial>(WEXITSTATUS(status))) {
    case SoftDirtyTrial::works:
      return {};
    case SoftDirtyTrial::no_pagemap:
      return fail(ErrorCode::unsupported, kWhat, "/proc/self/pagemap cannot be opened", {},
                  kMountProc);
    case SoftDirtyTrial::no_clear_refs:
      return fail(ErrorCode::unsupported, kWhat, "/proc/self/clear_refs cannot be opened", {},
                  kMountProc);
    case SoftDirtyTrial::refused:
      return fail(ErrorCode::unsupported, kWhat, "the kernel refuses to clear the bits");
    case SoftDirtyTrial::not_cleared:
      return fail(ErrorCode::self_test_failed, kWhat, "clearing the bits left one set");
    case SoftDirtyTrial::not_recorded:
      return fail(ErrorCode::self_test_failed, kWhat,
                  "the kernel accepts that the bits are cleared, and records no write", {},
                  "use a kernel with CONFIG_MEM_SOFT_DIRTY");
  }
  return fail(ErrorCode::system, kWhat, "the child ended early");
}

}  // namespace weir::os
