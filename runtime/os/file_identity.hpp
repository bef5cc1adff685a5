// Which file a descriptor number stands for: a number may be closed behind our back, and be
// somebody else's file a moment later. Async-signal-safe.
#pragma once

#include <cstdint>

namespace weir::os {

class FileIdentity {
 public:
  FileIdentity() = default;  // of no file, and equal to nothing
  static FileIdentity of(int fd);
  // Kernels before 5.12 give all anonymous files (userfaultfd, eventfd, ...) one identity. True
  // also where that cannot be found out. Opens a file for the moment.
  bool may_be_shared() const;
  friend bool operator==(const FileIdentity& a, const FileIdentity& b) {
    return a.is_open_ && b.is_open_ && a.device_ == b.device_ && a.inode_ == b.inode_;
  }

 private:
  bool is_open_ = false;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace weir::os
