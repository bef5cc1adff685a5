// A descriptor that acts on one address space (userfaultfd, /proc/self/pagemap), owned. In a forked
// child it would still act on the *parent's* memory, so there it is closed. Plain reads from any
// thread and from signal handlers; making, moving and destroying take a lock.
#pragma once

namespace weir {

enum class ForkPolicy {
  close_in_child,  // after fork(2) the child's copy is closed, and the object is empty there
  keep,            // the caller knows what it does (hands it to a manager process, say)
};

// vfork(2), and clone(2) called directly, run no fork handlers: a child made so must not use it.
class MemoryFd {
 public:
  MemoryFd() = default;  // empty
  explicit MemoryFd(int fd, ForkPolicy policy = ForkPolicy::close_in_child);
  MemoryFd(MemoryFd&& other) noexcept;
  MemoryFd& operator=(MemoryFd&& other) noexcept;
  ~MemoryFd();

  int get() const { return fd_; }  // -1 when empty
  bool is_open() const { return fd_ >= 0; }
  int release();  // gives it up, open

 private:
  friend struct ForkList;  // of those to close in a forked child

  int fd_ = -1;
  ForkPolicy policy_ = ForkPolicy::close_in_child;
  MemoryFd* previous_ = nullptr;
  MemoryFd* next_ = nullptr;
};

}  // namespace weir
