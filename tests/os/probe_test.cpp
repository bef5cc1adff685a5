#include "runtime/os/probe.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/userfaultfd_open.hpp"

namespace weir::os {
namespace {

TEST_CASE("the probe tries every rung, and agrees with what the builder does") {
  const Capabilities found = probe();
  REQUIRE(found.rungs.size() == kUffdLadder.size());
  for (std::size_t i = 0; i < kUffdLadder.size(); ++i) CHECK(found.rungs[i].path == kUffdLadder[i]);

  auto uffd = Userfaultfd::Builder().create();
  REQUIRE(uffd.has_value() == found.open_path.has_value());
  if (!uffd) {
    std::printf("skipped the rest: %s\n", uffd.error().message().c_str());
    return;
  }
  CHECK(*found.open_path == uffd->open_path());
  CHECK(found.features == Userfaultfd::available_features().value());
  const auto works = std::find_if(found.rungs.begin(), found.rungs.end(),
                                  [](const UffdRefusal& rung) { return rung.sys_errno == 0; });
  REQUIRE(works != found.rungs.end());
  CHECK(works->path == *found.open_path);
  // The builder noted the same refusals on its way there.
  REQUIRE(uffd->refusals().size() == static_cast<std::size_t>(works - found.rungs.begin()));
  for (std::size_t i = 0; i < uffd->refusals().size(); ++i) {
    CHECK(uffd->refusals()[i].path == found.rungs[i].path);
    CHECK(uffd->refusals()[i].sys_errno == found.rungs[i].sys_errno);
  }
}

TEST_CASE("the probe leaves no descriptor behind") {
  const auto lowest_free = [] {
    const int fd = ::dup(STDERR_FILENO);
    ::close(fd);
    return fd;
  };
  const int before = lowest_free();
  (void)probe();
  CHECK(lowest_free() == before);
}

TEST_CASE("tracking by WP_ASYNC is claimed only where its parts are there, else with a reason") {
  const Capabilities found = probe();
  if (found.has_async()) {
    CHECK(found.features.has(UffdFeature::wp_async));
    CHECK(found.has_pagemap_scan());
    return;
  }
  std::printf("no WP_ASYNC: %s\n", found.async_refusal->message().c_str());
  CHECK_FALSE(found.async_refusal->message().empty());
  if (found.has_pagemap_scan()) return;
  std::printf("no PAGEMAP_SCAN: %s\n", found.pagemap_scan_refusal->message().c_str());
  CHECK_FALSE(found.pagemap_scan_refusal->message().empty());
}

TEST_CASE("the probe reports the system's settings") {
  const Capabilities found = probe();
  CHECK(found.page_size == static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  std::string release;
  std::getline(std::ifstream("/proc/sys/kernel/osrelease") >> std::ws, release);
  CHECK(found.kernel_release == release);
  REQUIRE(found.max_map_count.has_value());
  std::size_t max_map_count = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> max_map_count;
  CHECK(*found.max_map_count == max_map_count);
  std::string thp;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), thp);
  if (thp.empty())
    CHECK(found.transparent_huge_pages.empty());
  else
    CHECK(thp.find("[" + found.transparent_huge_pages + "]") != std::string::npos);
}

TEST_CASE("the probe knows what this process may do") {
  const Capabilities found = probe();
  CHECK(found.proc_shows_us);
  std::ifstream status("/proc/self/status");
  bool checked_capabilities = false, checked_seccomp = false;
  for (std::string field; status >> field;) {
    if (field == "CapEff:") {
      std::uint64_t effective = 0;
      status >> std::hex >> effective >> std::dec;
      constexpr unsigned kPtrace = 19;  // of capabilities(7)
      CHECK(found.has_ptrace_capability == ((effective >> kPtrace & 1) != 0));
      checked_capabilities = true;
    } else if (field == "Seccomp:") {
      int mode = 0;
      status >> mode;
      CHECK(found.has_seccomp_filter == (mode == 2));
      checked_seccomp = true;
    }
  }
  CHECK(checked_capabilities);
  CHECK(checked_seccomp);
  // What opens where the device and the system call are asked is what the facts allow.
  for (const UffdRefusal& rung : found.rungs) {
    if (rung.path == UffdOpenPath::device && rung.sys_errno == 0)
      CHECK(found.kernel_has_device.value_or(false));
    if (rung.path == UffdOpenPath::system_call && rung.sys_errno == 0)
      CHECK((found.has_ptrace_capability || found.unprivileged_userfaultfd != 0));
  }
}

TEST_CASE("soft-dirty is tried in a child and leaves this process's record alone") {
  const Expected<> works = probe_soft_dirty();
  if (!works) REQUIRE(works.error().code == ErrorCode::self_test_failed);
  std::printf("soft-dirty: %s\n", works ? "works" : works.error().message().c_str());
  // A kernel that has soft-dirty starts each mapping with it, and shows that here.
  auto memory = Mapping::anonymous(page_size());
  REQUIRE(memory);
  std::ifstream smaps("/proc/self/smaps");
  bool flagged = false, here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      here = begin <= memory->range().begin.value() && memory->range().begin.value() < end;
    if (here && line.starts_with("VmFlags:")) flagged = (line + " ").find(" sd ") != line.npos;
  }
  CHECK(works.has_value() == flagged);
}

}  // namespace
}  // namespace weir::os
