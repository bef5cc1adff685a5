#include "runtime/os/clear_refs.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace weir::os {

Expected<MemoryFd> open_clear_refs() {
  const int fd = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return system_error(errno, "opening /proc/self/clear_refs", {},
                        "Mount /proc, and use a kernel with CONFIG_PROC_PAGE_MONITOR");
  return MemoryFd(fd);
}

Expected<> clear_soft_dirty(const MemoryFd& clear_refs) {
  constexpr const char* kWhat = "clearing the soft-dirty bits";
  if (!clear_refs.is_intact())  // the number may be a file of somebody's by now
    return fail(ErrorCode::closed, kWhat, "somebody closed the descriptor", {},
                "Keep descriptors that you did not open");
  if (::pwrite(clear_refs.get(), "4", 1, 0) == 1) return {};
  return system_error(errno, kWhat);
}

}  // namespace weir::os
