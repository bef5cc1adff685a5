#include "runtime/os/probe.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

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

// The word in brackets of "always [madvise] never".
std::string selected_word(const char* path) {
  std::ifstream file(path);
  for (std::string word; file >> word;)
    if (word.front() == '[' && word.back() == ']') return word.substr(1, word.size() - 2);
  return "";
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

// Arms a populated page, writes it, and expects exactly that to be reported.
Expected<> try_pagemap_scan() {
  constexpr const char* kWhat = "trying PAGEMAP_SCAN";
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

// In a child after fork(2): async-signal-safe calls only.
bool soft_dirty_works(volatile char* page) {
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const auto is_dirty = [&] {
    std::uint64_t entry = 0;
    const auto offset = (Address(page).value() >> page_shift()) * sizeof entry;
    const bool read_it =
        ::pread(pagemap, &entry, sizeof entry, static_cast<off_t>(offset)) == sizeof entry;
    return read_it && (entry & kEntrySoftDirty) != 0;
  };
  const int clear_refs = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  *page = 1;
  if (::write(clear_refs, "4", 1) != 1) return false;
  if (is_dirty()) return false;
  *page = 2;
  return is_dirty();
}

}  // namespace

Capabilities probe() {
  Capabilities found;
  utsname name;
  if (::uname(&name) == 0) found.kernel_release = name.release;
  found.page_size = page_size();
  probe_userfaultfd(found);
  if (auto scan = try_pagemap_scan(); !scan) found.pagemap_scan_refusal = scan.error();
  found.transparent_huge_pages = selected_word("/sys/kernel/mm/transparent_hugepage/enabled");
  found.max_map_count = read_file<std::size_t>("/proc/sys/vm/max_map_count");
  found.unprivileged_userfaultfd = read_file<int>("/proc/sys/vm/unprivileged_userfaultfd");
  return found;
}

Expected<bool> probe_soft_dirty() {
  constexpr const char* kWhat = "trying soft-dirty in a child";
  auto memory = Mapping::anonymous(page_size(), HugePages::never);
  if (!memory) return Unexpected(memory.error());
  const pid_t child = ::fork();
  if (child < 0) return system_error(errno, kWhat);
  if (child == 0) ::_exit(soft_dirty_works(memory->as<char>()) ? 0 : 1);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return system_error(errno, kWhat);
  if (!WIFEXITED(status)) return fail(ErrorCode::system, kWhat, "the child was killed");
  return WEXITSTATUS(status) == 0;
}

}  // namespace weir::os
