#include "runtime/os/file_identity.hpp"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::os {

FileIdentity FileIdentity::of(int fd) {
  FileIdentity identity;
  struct stat status;
  if (fd < 0 || ::fstat(fd, &status) != 0) return identity;
  identity.is_open_ = true;
  identity.device_ = status.st_dev;
  identity.inode_ = status.st_ino;
  return identity;
}

bool FileIdentity::may_be_shared() const {
  const int other = ::eventfd(0, EFD_CLOEXEC);
  if (other < 0) return true;
  const bool shared = *this == of(other);
  ::close(other);
  return shared;
}

}  // namespace weir::os
