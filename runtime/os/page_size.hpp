// The system's page size, asked for once; never a literal. Any thread, any time.
#pragma once

#include <unistd.h>

#include <bit>
#include <cstddef>

namespace weir::os {

inline std::size_t page_size() {
  static const std::size_t size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}
inline unsigned page_shift() {
  return static_cast<unsigned>(std::countr_zero(page_size()));
}

}  // namespace weir::os
