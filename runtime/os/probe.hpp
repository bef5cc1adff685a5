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

  // nullopt: a page registered for WP_ASYNC was armed, written and reported. Else, why not.
  std::optional<Error> pagemap_scan_refusal;
  bool has_pagemap_scan() const { return !pagemap_scan_refusal; }

  std::string transparent_huge_pages;           // "always", "madvise", "never"; "" unknown
  std::optional<std::size_t> max_map_count;     // vm.max_map_count
  std::optional<int> unprivileged_userfaultfd;  // the sysctl of that name
};

Capabilities probe();

// Whether soft-dirty bits come and go as they should; many kernels accept the reset and record
// nothing. Tried in a forked child, since the reset is for a whole process.
Expected<bool> probe_soft_dirty();

}  // namespace weir::os
