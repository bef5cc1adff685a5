#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <weir/memory_fd.hpp>

namespace weir {
namespace {
constexpr int kClosed = -1;  // the slot has an owner, but no descriptor
constexpr int kFree = -2;

struct Identity {
  unsigned long device = 0, inode = 0;  // an inode of 0: not open
  bool operator==(const Identity&) const = default;
};

Identity identity_of(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 ? Identity{status.st_dev, status.st_ino} : Identity{};
}
}  // namespace

// All descriptors to close in a forked child. A fork takes its picture of this table at any moment,
// so each slot changes by one atomic store, and objects refer to slots, which never move or go
// away.
//
// A lock held across the fork would be simpler, and wrong: with UffdFeature::event_fork, fork(2)
// returns only when another thread has read the event, and that one may just be opening or closing
// a descriptor.
struct ForkTable {
  using Slot = MemoryFd::Slot;

  struct Block {
    std::array<Slot, 64> slots;
    Block* next = nullptr;
    Block() {
      for (Slot& slot : slots) slot.fd.store(kFree, std::memory_order_relaxed);
    }
  };

  static Block& first() {
    static Block* const block = [] {
      auto* table = new Block;  // never freed: outlives every static object
      newest.store(table);
      ::pthread_atfork(nullptr, nullptr, close_all);
      return table;
    }();
    return *block;
  }
  static inline constinit std::atomic<Block*> newest = nullptr;

  static void close_all() {
    for (Block* block = newest.load(); block != nullptr; block = block->next) {
      for (Slot& slot : block->slots) {
        const int fd = slot.fd.load();
        if (fd < 0 || slot.policy.load() == ForkPolicy::keep) continue;
        slot.fd.store(kClosed);
        if (is_still(slot, fd)) ::close(fd);
      }
    }
  }

  // Whether the number stands for the file that the slot was made for.
  static bool is_still(const Slot& slot, int fd) {
    return identity_of(fd) == Identity{slot.device.load(std::memory_order_relaxed),
                                       slot.inode.load(std::memory_order_relaxed)};
  }

  static Slot* claim() {
    (void)first();
    for (Block* block = newest.load(); block != nullptr; block = block->next) {
      for (Slot& slot : block->slots) {
        int expected = kFree;
        if (slot.fd.compare_exchange_strong(expected, kClosed)) return &slot;
      }
    }
    auto* block = new Block;
    block->slots[0].fd.store(kClosed);
    block->next = newest.load();
    while (!newest.compare_exchange_weak(block->next, block)) {
    }
    return &block->slots[0];
  }
};

MemoryFd::MemoryFd(int fd, ForkPolicy policy) {
  if (fd < 0) return;
  slot_ = ForkTable::claim();
  slot_->policy.store(policy);
  const Identity identity = identity_of(fd);
  slot_->device.store(identity.device);
  slot_->inode.store(identity.inode);
  slot_->fd.store(fd);
}

MemoryFd::MemoryFd(MemoryFd&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}

MemoryFd& MemoryFd::operator=(MemoryFd&& other) noexcept {
  if (this == &other) return *this;
  close();
  slot_ = std::exchange(other.slot_, nullptr);
  return *this;
}

MemoryFd::~MemoryFd() {
  close();
}

void MemoryFd::close() {
  const bool intact = is_intact();
  const int old = release();
  if (intact) ::close(old);
}

bool MemoryFd::is_intact() const {
  const int fd = get();
  return fd >= 0 && ForkTable::is_still(*slot_, fd);
}

void MemoryFd::follow_forks() {
  (void)ForkTable::first();
}

int MemoryFd::release() {
  if (slot_ == nullptr) return -1;
  return std::exchange(slot_, nullptr)->fd.exchange(kFree);
}

}  // namespace weir
