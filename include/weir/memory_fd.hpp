// A descriptor that acts on one address space (userfaultfd, /proc/self/pagemap), owned. In a forked
// child it would still act on the *parent's* memory, so there it is closed. get() and moving may be
// done anywhere, signal handlers included; no lock is taken by anything here.
#pragma once

#include <atomic>

namespace weir {

enum class ForkPolicy {
  close_in_child,  // after fork(2) the child's copy is closed, and the object is empty there
  keep,            // the caller knows what it does (hands it to a manager process, say)
};

// vfork(2), and clone(2) called directly, run no fork handlers: a child made so must not use it.
class MemoryFd {
 public:
  MemoryFd() = default;                                                       // empty
  explicit MemoryFd(int fd, ForkPolicy policy = ForkPolicy::close_in_child);  // negative: empty
  MemoryFd(MemoryFd&& other) noexcept;
  MemoryFd& operator=(MemoryFd&& other) noexcept;
  ~MemoryFd();

  int get() const { return slot_ ? slot_->fd.load(std::memory_order_relaxed) : -1; }  // -1: empty
  bool is_open() const { return get() >= 0; }
  int release();  // gives it up, open
  // Is the number still the file that it was? Somebody may have closed it (closefrom in a daemon),
  // and the number may be somebody else's file by now, which is never closed then. Where files have
  // no inode of their own (anonymous ones, before Linux 6.x), this cannot tell.
  bool is_intact() const;

  // Installs the fork handler, which the first descriptor does otherwise. For those whose own
  // handler opens new descriptors in the child: handlers of the child run in order of installation.
  static void follow_forks();

 private:
  friend struct ForkTable;
  void close();
  struct Slot {
    std::atomic<int> fd;
    std::atomic<ForkPolicy> policy;
    std::atomic<unsigned long> device, inode;
  };
  Slot* slot_ = nullptr;  // in a table that the fork handler walks
};

}  // namespace weir
