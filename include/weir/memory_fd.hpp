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

 private:
  friend struct ForkTable;
  struct Slot {
    std::atomic<int> fd;
    std::atomic<ForkPolicy> policy;
  };
  Slot* slot_ = nullptr;  // in a table that the fork handler walks
};

}  // namespace weir
