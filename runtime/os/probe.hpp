// What this kernel, this process and this container allow: tried, not concluded from a version
// number, since distributions port features back and sandboxes take them away. For `weir doctor`
// and the tests; any thread, allocates.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>
#include <weir/error.hpp>
#include <weir/userfaultfd.hpp>

namespace weir::os {

struct Capabilities {
  std::string kernel_release;  // of uname(2)
  std::size_t page_size = 0;

  // Each way to open a userfaultfd on its own; 0: it works.
  std::vector<UffdRefusal> rungs;
  std::optional<UffdOpenPath> open_path;  // the one that the builder takes
  UffdFeatures features;                  // by that one

  std::optional<Error> pagemap_scan_refusal;  // nullopt: a page that is there was found
  bool has_pagemap_scan() const { return !pagemap_scan_refusal; }
  // nullopt: a page registered for WP_ASYNC was armed, written and reported by PAGEMAP_SCAN.
  std::optional<Error> async_refusal;
  bool has_async() const { return !async_refusal; }

  std::string transparent_huge_pages;           // "always", "madvise", "never"; "" unknown
  std::optional<std::size_t> max_map_count;     // vm.max_map_count
  std::optional<int> unprivileged_userfaultfd;  // the sysctl of that name

  // What decides over the rungs. nullopt: /proc does not tell.
  std::optional<bool> kernel_has_device;       // whether or not /dev shows it
  std::optional<bool> initial_user_namespace;  // elsewhere capabilities do not open a userfaultfd
  bool has_ptrace_capability = false;          // CAP_SYS_PTRACE is effective
  bool has_seccomp_filter = false;             // a container's or a sandbox's

  bool proc_shows_us = false;  // /proc is mounted, and for this process's pid namespace
};

Capabilities probe();

// Success: soft-dirty bits come and go as they should. Many kernels accept the reset and record
// nothing, which is self_test_failed. Tried in a forked child, since the reset is for a whole
// process.
Expected<> probe_soft_dirty();

}  // namespace weir::os
