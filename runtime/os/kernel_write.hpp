// A write that the kernel makes on the program's behalf, to find out whether a barrier sees it.
#pragma once

#include <weir/error.hpp>

namespace weir::os {

// Lets the kernel write one byte to `destination` (read(2) from a pipe). False: it answered EFAULT.
Expected<bool> kernel_write(char* destination);

}  // namespace weir::os
