// Off-heap memory over plain mappings. Small sizes have a free list per size class, filled from
// chunks of 1 MiB that are never given back; large ones are mappings of their own. The caller of
// free knows the size, so there are no headers.
//
// A thread that is stopped by a signal must not hold the lock, else the collector, which allocates
// while it is stopped, waits forever. So all signals but those of this thread's own faults are
// blocked while it is held. That is two system calls, 0.2 us: who allocates at every turn links
// mimalloc, whose lists belong to threads.

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstring>
#include <mutex>
#include <weir/address.hpp>

#include "runtime/os/off_heap.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::os {
namespace {

constexpr std::size_t kGranule = 16;
constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kLargestSmall = 32 << 10;

// Classes: multiples of 16 up to 128, then four to each power of two (160, 192, 224, 256, 320,
// ...), so that at most a fifth is lost to rounding.
constexpr std::size_t kLinearClasses = 8;
constexpr std::size_t kLinearLimit = kGranule * kLinearClasses;

constexpr std::size_t class_of(std::size_t bytes) {
  if (bytes <= kLinearLimit) return (std::max(bytes, kGranule) + kGranule - 1) / kGranule - 1;
  const unsigned power = static_cast<unsigned>(std::bit_width(bytes - 1)) - 1;  // bytes > 2^power
  const std::size_t quarter = (bytes - 1 - (std::size_t{1} << power)) >> (power - 2);
  return kLinearClasses + (power - 7) * 4 + quarter;
}
constexpr std::size_t size_of_class(std::size_t index) {
  if (index < kLinearClasses) return (index + 1) * kGranule;
  const std::size_t power = 7 + (index - kLinearClasses) / 4;
  const std::size_t quarter = (index - kLinearClasses) % 4;
  return (std::size_t{1} << power) + ((quarter + 1) << (power - 2));
}
constexpr std::size_t kClasses = class_of(kLargestSmall) + 1;
static_assert([] {
  for (std::size_t i = 0; i < kClasses; ++i) {
    if (class_of(size_of_class(i)) != i) return false;
    if (i > 0 && class_of(size_of_class(i - 1) + 1) != i) return false;
  }
  return size_of_class(kClasses - 1) == kLargestSmall;
}());

struct FreeCell {
  FreeCell* next;
};

struct Pool {
  std::mutex lock;
  FreeCell* free[kClasses] = {};
  Address bump;  // the rest of the newest chunk
  Address limit;
  sigset_t before_fork = {};
};
constinit Pool pool;

sigset_t block_signals() {
  sigset_t all, before;
  ::sigfillset(&all);
  for (int own_fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT})
    ::sigdelset(&all, own_fault);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  return before;
}
void restore_signals(const sigset_t& before) {
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

class PoolGuard {
 public:
  PoolGuard() : before_(block_signals()) { pool.lock.lock(); }
  PoolGuard(const PoolGuard&) = delete;
  PoolGuard& operator=(const PoolGuard&) = delete;
  ~PoolGuard() {
    pool.lock.unlock();
    restore_signals(before_);
  }

 private:
  sigset_t before_;
};

// A child of fork(2) must find the lock free and the lists whole. Registered before main, and
// before constructors without a priority, hence locked after, and unlocked before, the fork
// handlers of other layers, which may allocate.
void before_fork() {
  const sigset_t before = block_signals();
  pool.lock.lock();
  pool.before_fork = before;
}
void after_fork() {
  const sigset_t before = pool.before_fork;
  pool.lock.unlock();
  restore_signals(before);
}
[[gnu::constructor(101)]] void survive_fork() {
  ::pthread_atfork(before_fork, after_fork, after_fork);
}

void* map(std::size_t bytes, std::size_t alignment) {
  const std::size_t size = Address(bytes).align_up(page_size()).value();
  const std::size_t slack = alignment > page_size() ? alignment - page_size() : 0;
  if (size < bytes || size + slack < size) return nullptr;
  void* memory = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const Range whole = Range::of(memory, size + slack);
  const Address begin = whole.begin.align_up(std::max(alignment, page_size()));
  const Address end = begin + size;
  if (begin > whole.begin) ::munmap(memory, begin - whole.begin);
  if (end < whole.end()) ::munmap(end.as(), whole.end() - end);
  return begin.as();
}

// Multiples of a power of two lie at multiples of it.
void* carve(std::size_t size) {
  const std::size_t alignment = size & (~size + 1);
  Address first = pool.bump.align_up(alignment);
  if (first + size > pool.limit || first < pool.bump) {
    void* chunk = map(kChunk, kLargestSmall);
    if (chunk == nullptr) return nullptr;
    first = Address(chunk);
    pool.limit = first + kChunk;
  }
  pool.bump = first + size;
  return first.as();
}

// Above the granule's alignment a cell is a power of two, which is aligned to its size.
std::size_t cell_size(std::size_t bytes, std::size_t alignment) {
  return alignment <= kGranule ? bytes : std::bit_ceil(std::max(bytes, alignment));
}

bool is_large(std::size_t bytes, std::size_t alignment) {
  return bytes > kLargestSmall || alignment > kLargestSmall ||
         cell_size(bytes, alignment) > kLargestSmall;
}

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (is_large(bytes, alignment)) return map(bytes, alignment);
  const std::size_t index = class_of(cell_size(bytes, alignment));
  void* memory = nullptr;
  {
    const PoolGuard guard;
    if (FreeCell* cell = pool.free[index]) {
      pool.free[index] = cell->next;
      memory = cell;
    } else {
      return carve(size_of_class(index));  // fresh from the kernel: zeros
    }
  }
  return std::memset(memory, 0, size_of_class(index));
}

void release(void* memory, std::size_t bytes, std::size_t alignment) {
  if (is_large(bytes, alignment)) {
    ::munmap(memory, Address(bytes).align_up(page_size()).value());
    return;
  }
  const PoolGuard guard;
  FreeCell*& first = pool.free[class_of(cell_size(bytes, alignment))];
  first = new (memory) FreeCell{first};
}

constexpr OffHeapBackend kSystem = {"system", allocate, release};

}  // namespace

const OffHeapBackend& off_heap_system() {
  return kSystem;
}

}  // namespace weir::os
