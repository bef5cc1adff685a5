// /proc/self/clear_refs: resets the soft-dirty bits of the *whole process*, so it has one user (the
// soft-dirty coordinator). On many kernels it succeeds and records nothing: test before trusting.
#pragma once

#include <weir/error.hpp>
#include <weir/memory_fd.hpp>

namespace weir::os {

Expected<MemoryFd> open_clear_refs();
Expected<> clear_soft_dirty(const MemoryFd& clear_refs);

}  // namespace weir::os
