#include "runtime/os/file_identity.hpp"

#include <sys/stat.h>

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

}  // namespace weir::os
