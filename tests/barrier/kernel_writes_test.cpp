// Writes that no instruction of the program makes: by system calls, io_uring, other processes and
// debuggers. Recorded, or refused where the barrier says so beforehand.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tests/support/attached.hpp"

using namespace weir;
using namespace weir::test;
using barrier::Barrier;

namespace {

// A child that attaches as a debugger and writes a word; false where the kernel refuses.
bool poked_by_a_debugger(char* word) {
  (void)::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::ptrace(PTRACE_SEIZE, parent, nullptr, nullptr) != 0) ::_exit(1);
    (void)::ptrace(PTRACE_INTERRUPT, parent, nullptr, nullptr);
    (void)::waitpid(parent, nullptr, __WALL);
    const bool poked = ::ptrace(PTRACE_POKEDATA, parent, word, 0x706f6b65) == 0;
    (void)::ptrace(PTRACE_DETACH, parent, nullptr, nullptr);
    ::_exit(poked ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) != child) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// As much of io_uring as it takes to read once.
class Ring {
 public:
  static std::unique_ptr<Ring> open() {
    io_uring_params parameters = {};
    const int fd = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters));
    if (fd < 0) return nullptr;
    auto ring = std::unique_ptr<Ring>(new Ring(fd, parameters));
    return ring->submissions_ != MAP_FAILED && ring->entries_ != MAP_FAILED ? std::move(ring)
                                                                            : nullptr;
  }
  ~Ring() { ::close(fd_); }

  // What the completion says: bytes, or a negative errno.
  int read(int from, void* to, unsigned size) {
    auto* entry = static_cast<io_uring_sqe*>(entries_);
    *entry = {};
    entry->opcode = IORING_OP_READ;
    entry->fd = from;
    entry->addr = reinterpret_cast<std::uint64_t>(to);
    entry->len = size;
    entry->off = static_cast<std::uint64_t>(-1);
    at(submissions_, parameters_.sq_off.array) = 0;
    std::atomic_ref(at(submissions_, parameters_.sq_off.tail)).fetch_add(1);
    REQUIRE(::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) == 1);
    const unsigned head = std::atomic_ref(at(completions_, parameters_.cq_off.head)).fetch_add(1);
    const unsigned mask = at(completions_, parameters_.cq_off.ring_mask);
    auto* results =
        reinterpret_cast<io_uring_cqe*>(static_cast<char*>(completions_) + parameters_.cq_off.cqes);
    return results[head & mask].res;
  }

 private:
  Ring(int fd, const io_uring_params& parameters) : fd_(fd), parameters_(parameters) {
    submissions_ = map(IORING_OFF_SQ_RING, os::page_size());
    completions_ = map(IORING_OFF_CQ_RING, os::page_size());
    entries_ = map(IORING_OFF_SQES, os::page_size());
  }
  void* map(unsigned long long offset, std::size_t size) const {
    return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                  static_cast<off_t>(offset));
  }
  static unsigned& at(void* ring, unsigned offset) {
    return *reinterpret_cast<unsigned*>(static_cast<char*>(ring) + offset);
  }

  int fd_;
  io_uring_params parameters_;
  void* submissions_;
  void* completions_;
  void* entries_;
};

// Lets the kernel write into the page; true when it agreed. Otherwise it must be EFAULT, and the
// barrier must have said so beforehand.
template <class Call>
bool by_kernel(const Barrier& barrier, Call&& call) {
  const auto result = call();
  if (result >= 0) return true;
  CHECK(errno == EFAULT);
  CHECK_FALSE(barrier.traits().sees_kernel_writes);
  return false;
}

}  // namespace

TEST_CASE(
    "11: writes by system calls are recorded, or fail with EFAULT where the barrier says so") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    (void)memory.take();
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    int sockets[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    PageSet written;
    const auto expect = [&](std::size_t page, bool agreed) {
      if (!agreed) return;
      barrier.record(Range::of(memory.page(page), os::page_size()));
      written.insert(page);
    };

    REQUIRE(::write(pipe[1], "data", 4) == 4);
    if (by_kernel(barrier, [&] { return ::read(pipe[0], memory.page(1), 4); })) {
      CHECK(std::memcmp(memory.page(1), "data", 4) == 0);
      expect(1, true);
    } else {  // the data is still there
      char buffer[4];
      CHECK(::read(pipe[0], buffer, 4) == 4);
    }
    REQUIRE(::write(pipe[1], "scattered", 9) == 9);
    const iovec parts[] = {{memory.page(3), 4}, {memory.page(5), 5}};
    const bool scattered = by_kernel(barrier, [&] { return ::readv(pipe[0], parts, 2); });
    expect(3, scattered);
    expect(5, scattered);
    REQUIRE(::send(sockets[0], "message", 7, 0) == 7);
    expect(7, by_kernel(barrier, [&] { return ::recv(sockets[1], memory.page(7), 7, 0); }));
    expect(9, by_kernel(barrier, [&] { return ::getrandom(memory.page(9), 16, 0); }));
    CHECK(reports(barrier, memory.take(), written));

    for (int fd : {pipe[0], pipe[1], sockets[0], sockets[1]}) ::close(fd);
  });
}

TEST_CASE("11: writes by io_uring are recorded, or fail with EFAULT where the barrier says so") {
  auto ring = Ring::open();
  if (!ring) {
    std::printf("skipped: io_uring is not to be had here (%s)\n", std::strerror(errno));
    return;
  }
  for_each_backend([&](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    (void)memory.take();
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    REQUIRE(::write(pipe[1], "ring", 4) == 4);
    PageSet written;
    const bool agreed = by_kernel(barrier, [&] {
      const int result = ring->read(pipe[0], memory.page(21), 4);
      errno = result < 0 ? -result : 0;
      return result;
    });
    if (agreed) {
      CHECK(std::memcmp(memory.page(21), "ring", 4) == 0);
      barrier.record(Range::of(memory.page(21), 4));
      written.insert(21);
    }
    CHECK(reports(barrier, memory.take(), written));
    for (int fd : pipe) ::close(fd);
  });
}

TEST_CASE("12: writes of other processes and of debuggers are recorded or refused") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    (void)memory.take();
    char byte = 'o';
    const iovec from{&byte, 1};
    PageSet written;
    const auto expect = [&](std::size_t page) {
      barrier.record(Range::of(memory.page(page), 1));
      written.insert(page);
    };
    const iovec to{memory.page(11), 1};
    if (::process_vm_writev(::getpid(), &from, 1, &to, 1, 0) == 1) {
      CHECK(*memory.page(11) == 'o');
      expect(11);
    }
    // These two write where mprotect forbids it, past that barrier: they are for debuggers.
    const int mem = ::open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (mem >= 0) {
      const Address target(memory.page(13));
      const bool wrote = ::pwrite(mem, &byte, 1, static_cast<off_t>(target.value())) == 1;
      ::close(mem);
      if (wrote && !barrier.traits().owns_protection) expect(13);
    }
    if (poked_by_a_debugger(memory.page(15)) && !barrier.traits().owns_protection) expect(15);
    const PageSet reported = memory.take();
    for (std::size_t page : written) CHECK(reported.count(page) == 1);
  });
}
