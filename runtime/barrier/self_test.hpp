// A barrier proves itself in this process before it is trusted: a back-end that opens is not yet
// one that records (clear_refs succeeds on kernels that record nothing; a sandbox may answer for a
// system call). Takes well under a millisecond.
#pragma once

#include "runtime/barrier/barrier.hpp"

namespace weir::barrier {

// Arms, writes, takes and compares on memory of its own, and finds out whether writes by system
// calls are seen (traits().sees_kernel_writes). Error self_test_failed names the step.
Expected<> self_test(Barrier& barrier);

}  // namespace weir::barrier
