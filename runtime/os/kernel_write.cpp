#include "runtime/os/kernel_write.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace weir::os {

Expected<bool> kernel_write(char* destination) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return system_error(errno, "making a pipe");
  const char byte = 1;
  ssize_t moved = ::write(pipe[1], &byte, 1);
  if (moved == 1) moved = ::read(pipe[0], destination, 1);
  const int error = errno;
  ::close(pipe[0]);
  ::close(pipe[1]);
  if (moved == 1) return true;
  if (error == EFAULT) return false;
  return system_error(error, "reading from a pipe");
}

}  // namespace weir::os
