#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <utility>
#include <weir/memory_fd.hpp>

namespace weir {

// The descriptors to close in a forked child: a doubly linked list through the objects themselves,
// so that entering one allocates nothing. fork(2) happens with the list locked, hence whole.
struct ForkList {
  static inline constinit std::mutex lock;
  static inline constinit MemoryFd* first = nullptr;

  static void watch_forks() {
    [[maybe_unused]] static const int registered =
        ::pthread_atfork([] { lock.lock(); }, [] { lock.unlock(); },
                         [] {
                           close_all();
                           lock.unlock();
                         });
  }

  static void close_all() {
    while (first != nullptr) {
      MemoryFd* item = first;
      ::close(item->fd_);
      item->fd_ = -1;
      remove(item);
    }
  }

  // Both with the lock held.
  static void insert(MemoryFd* item) {
    item->next_ = first;
    if (first != nullptr) first->previous_ = item;
    first = item;
  }
  static void remove(MemoryFd* item) {
    (item->previous_ != nullptr ? item->previous_->next_ : first) = item->next_;
    if (item->next_ != nullptr) item->next_->previous_ = item->previous_;
    item->previous_ = item->next_ = nullptr;
  }

  // A descriptor changes hands with the list locked, or a fork in between would leave it open in
  // the child, or closed there under a number that another file has by then.
  static int take(MemoryFd* from) {
    if (from->fd_ < 0) return -1;
    if (from->policy_ == ForkPolicy::close_in_child) remove(from);
    return std::exchange(from->fd_, -1);
  }
  static void give(MemoryFd* to, int fd, ForkPolicy policy) {
    to->fd_ = fd;
    to->policy_ = policy;
    if (fd >= 0 && policy == ForkPolicy::close_in_child) insert(to);
  }
};

MemoryFd::MemoryFd(int fd, ForkPolicy policy) {
  ForkList::watch_forks();
  const std::lock_guard guard(ForkList::lock);
  ForkList::give(this, fd, policy);
}

MemoryFd::MemoryFd(MemoryFd&& other) noexcept {
  const std::lock_guard guard(ForkList::lock);
  ForkList::give(this, ForkList::take(&other), other.policy_);
}

MemoryFd& MemoryFd::operator=(MemoryFd&& other) noexcept {
  if (this == &other) return *this;
  int old = -1;
  {
    const std::lock_guard guard(ForkList::lock);
    old = ForkList::take(this);
    ForkList::give(this, ForkList::take(&other), other.policy_);
  }
  if (old >= 0) ::close(old);
  return *this;
}

MemoryFd::~MemoryFd() {
  const int old = release();
  if (old >= 0) ::close(old);
}

int MemoryFd::release() {
  const std::lock_guard guard(ForkList::lock);
  return ForkList::take(this);
}

}  // namespace weir
