// What the kernel charges: each protocol in bare system calls. A fault costs the system call that
// the protocol needs and one byte store as its record, and nothing is checked that the protocol
// does not need. Not to be copied into programs: whoever closes a descriptor or forks is lost here.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <weir/userfaultfd.hpp>

#include "benchmarks/protocol.hpp"
#include "runtime/os/abi.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::bench {
namespace {

namespace abi = os::abi;

void must(bool good, const char* what) {
  if (!good) give_up(std::string(what) + ": " + std::strerror(errno));
}

int open_userfaultfd(UffdFeatures features) {
  int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (fd < 0)
    fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | abi::kUserModeOnly));
  if (fd < 0) return -1;
  abi::UffdioApi api{abi::kUffdApi, features.bits(), 0};
  if (::ioctl(fd, abi::kApi, &api) == 0) return fd;
  ::close(fd);
  return -1;
}

enum class Protect : std::uint64_t { on = abi::kWriteprotectWp, off = 0, off_asleep = 2 };
static_assert(static_cast<std::uint64_t>(Protect::off_asleep) == abi::kWriteprotectDontWake);

bool write_protect(int fd, Range range, Protect protect) {
  abi::UffdioWriteprotect argument{{range.begin.value(), range.size},
                                   static_cast<std::uint64_t>(protect)};
  return ::ioctl(fd, abi::kWriteprotect, &argument) == 0;
}

class Registered {
 public:
  explicit Registered(UffdFeatures features) : fd_(open_userfaultfd(features)) {
    must(fd_ >= 0, "userfaultfd");
  }
  ~Registered() { ::close(fd_); }  // unregisters
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

  void add(Range range) const {
    abi::UffdioRegister argument{{range.begin.value(), range.size}, abi::kRegisterWp, 0};
    must(::ioctl(fd_, abi::kRegister, &argument) == 0, "UFFDIO_REGISTER");
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// One byte per page, and the walk over them.
class Bytes {
 public:
  void cover(Range range) {
    range_ = range;
    bytes_.assign(range.size / os::page_size() + sizeof(std::uint64_t), 0);
  }
  std::uint8_t& of(Address a) { return bytes_[(a - range_.begin) / os::page_size()]; }

  // Clears the bytes that are set, and calls visit(Range) for each run of them.
  template <class Visit>
  void take_runs(Range part, Visit&& visit) {
    const std::size_t end = (part.end() - range_.begin) / os::page_size();
    std::size_t page = (part.begin - range_.begin) / os::page_size();
    while (page < end) {
      std::uint64_t eight;
      std::memcpy(&eight, &bytes_[page], sizeof eight);
      if (eight == 0) {
        page += sizeof eight;
      } else if (bytes_[page] == 0) {
        ++page;
      } else {
        const std::size_t first = page;
        while (page < end && bytes_[page] != 0) bytes_[page++] = 0;
        visit(Range{range_.begin + first * os::page_size(), (page - first) * os::page_size()});
      }
    }
  }

 private:
  Range range_;
  std::vector<std::uint8_t> bytes_;
};

// Weir's sink gets the runs, and so do these: a sum.
class RawAsync final : public Protocol {
 public:
  static constexpr UffdFeatures kFeatures = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_async};

  RawAsync() : pagemap_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {
    must(pagemap_ >= 0, "/proc/self/pagemap");
  }
  ~RawAsync() override { ::close(pagemap_); }

  void attach(Range range) override {
    uffd_.add(range);
    range_ = range;
    armed_.cover(range);
  }
  void arm(Range part) override {
    for (Address page = part.begin; page < part.end(); page = page + os::page_size())
      armed_.of(page) = 1;
    armed_bytes_ += part.size;
    must(write_protect(uffd_.fd(), part, Protect::on), "UFFDIO_WRITEPROTECT");
  }

  // All is armed: one walk. Else one that looks, then what was armed is armed again.
  std::size_t take(Range part) override {
    const bool all_armed = armed_bytes_ == range_.size;
    std::size_t bytes = 0;
    abi::PmScanArg argument{};
    argument.size = sizeof argument;
    argument.flags = abi::kScanCheckWpAsync | (all_armed ? abi::kScanWpMatching : 0);
    argument.end = part.end().value();
    argument.vec = Address(regions_.data()).value();
    argument.vec_len = regions_.size();
    argument.category_mask = argument.return_mask = kWritten;
    for (argument.walk_end = part.begin.value(); argument.walk_end < argument.end;) {
      argument.start = argument.walk_end;
      const int count = ::ioctl(pagemap_, abi::kPagemapScan, &argument);
      must(count >= 0, "PAGEMAP_SCAN");
      for (int i = 0; i < count; ++i) {
        const auto& region = regions_[static_cast<std::size_t>(i)];
        const Range run = Range::between(Address(region.start), Address(region.end));
        bytes += all_armed ? run.size : rearm(run);
      }
    }
    return bytes;
  }
  std::size_t traps() const override { return 0; }

 private:
  static constexpr std::uint64_t kWritten = 1 << 1;  // PAGE_IS_WRITTEN

  std::size_t rearm(Range written) {
    std::size_t bytes = 0;
    for (Address page = written.begin; page < written.end();) {
      Address past = page;
      while (past < written.end() && armed_.of(past) != 0) past = past + os::page_size();
      if (past > page)
        must(write_protect(uffd_.fd(), Range::between(page, past), Protect::on),
             "UFFDIO_WRITEPROTECT");
      bytes += past - page;
      page = past + os::page_size();
    }
    return bytes;
  }

  Registered uffd_{kFeatures};
  int pagemap_;
  Range range_;
  Bytes armed_;
  std::size_t armed_bytes_ = 0;
  std::array<abi::PageRegion, 512> regions_;
};

// The synchronous ones have the bytes in common.
class RawTrapping : public Protocol {
 public:
  void attach(Range range) override { written_.cover(range); }
  void arm(Range part) override { must(protect(part), "arming"); }
  std::size_t take(Range part) override {
    std::size_t bytes = 0;
    written_.take_runs(part, [&](Range run) {
      bytes += run.size;
      must(protect(run), "arming again");
    });
    return bytes;
  }
  std::size_t traps() const override { return traps_.load(std::memory_order_relaxed); }

 protected:
  virtual bool protect(Range run) = 0;

  Range record(Address fault) {
    const Address page = fault.align_down(os::page_size());
    written_.of(page) = 1;
    traps_.fetch_add(1, std::memory_order_relaxed);  // of the benchmark
    return {page, os::page_size()};
  }

 private:
  Bytes written_;
  std::atomic<std::size_t> traps_{0};
};

class RawUffd : public RawTrapping {
 public:
  explicit RawUffd(UffdFeatures features) : uffd_(features) {}
  void attach(Range range) override {
    RawTrapping::attach(range);
    uffd_.add(range);
  }

 protected:
  bool protect(Range run) override { return write_protect(uffd_.fd(), run, Protect::on); }

  Registered uffd_;
};

class RawUffdThread final : public RawUffd {
 public:
  static constexpr UffdFeatures kFeatures = {UffdFeature::pagefault_flag_wp};

  RawUffdThread() : RawUffd(kFeatures), stop_(::eventfd(0, EFD_CLOEXEC)) {
    must(stop_ >= 0, "eventfd");
    server_ = std::jthread([this] { serve(); });
  }
  ~RawUffdThread() override {
    const std::uint64_t one = 1;
    must(::write(stop_, &one, sizeof one) == sizeof one, "write");
    server_.join();
    ::close(stop_);
  }

 private:
  void serve() {
    std::array<abi::UffdMsg, 64> messages;
    pollfd polled[] = {{uffd_.fd(), POLLIN, 0}, {stop_, POLLIN, 0}};
    while (::poll(polled, 2, -1) > 0 && polled[1].revents == 0) {
      const ssize_t got = ::read(uffd_.fd(), messages.data(), sizeof messages);
      for (ssize_t i = 0; i < got / static_cast<ssize_t>(sizeof(abi::UffdMsg)); ++i) {
        const Range page = record(Address(messages[static_cast<std::size_t>(i)].pagefault.address));
        write_protect(uffd_.fd(), page, Protect::off);
      }
    }
  }

  int stop_;
  std::jthread server_;
};

// Installs a handler for one signal while it lives; one at a time.
template <class Handler, int signal>
class Catching {
 public:
  explicit Catching(Handler* handler) {
    current = handler;
    struct sigaction action = {};
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      current->on_signal(Address(info->si_addr));
    };
    action.sa_flags = SA_SIGINFO;
    must(::sigaction(signal, &action, &before_) == 0, "sigaction");
  }
  ~Catching() { ::sigaction(signal, &before_, nullptr); }

 private:
  static inline Handler* current = nullptr;
  struct sigaction before_ = {};
};

class RawUffdSigbus final : public RawUffd {
 public:
  static constexpr UffdFeatures kFeatures = {UffdFeature::pagefault_flag_wp, UffdFeature::sigbus};

  RawUffdSigbus() : RawUffd(kFeatures) {}
  void on_signal(Address fault) {
    if (!write_protect(uffd_.fd(), record(fault), Protect::off_asleep)) ::abort();
  }

 private:
  Catching<RawUffdSigbus, SIGBUS> catching_{this};
};

class RawMprotect final : public RawTrapping {
 public:
  ~RawMprotect() override { ::mprotect(range_.begin.as(), range_.size, PROT_READ | PROT_WRITE); }
  void attach(Range range) override {
    RawTrapping::attach(range);
    range_ = range;
  }
  void on_signal(Address fault) {
    const Range page = record(fault);
    if (::mprotect(page.begin.as(), page.size, PROT_READ | PROT_WRITE) != 0) ::abort();
  }

 private:
  bool protect(Range run) override { return ::mprotect(run.begin.as(), run.size, PROT_READ) == 0; }

  Range range_;
  Catching<RawMprotect, SIGSEGV> catching_{this};
};

template <class Raw>
std::unique_ptr<Protocol> open(const std::string&) {
  return std::make_unique<Raw>();
}

template <class Raw>
void add_if_here(std::vector<Contender>& all, const char* name) {
  const int fd = open_userfaultfd(Raw::kFeatures);
  if (fd < 0) {
    std::fprintf(stderr, "not here: raw/%s: %s\n", name, std::strerror(errno));
    return;
  }
  ::close(fd);
  all.push_back({name, open<Raw>});
}

}  // namespace

std::vector<Contender> raw_protocols() {
  std::vector<Contender> all;
  add_if_here<RawAsync>(all, "async");
  add_if_here<RawUffdThread>(all, "uffd-thread");
  add_if_here<RawUffdSigbus>(all, "uffd-sigbus");
  all.push_back({"mprotect", open<RawMprotect>});
  return all;
}

}  // namespace weir::bench
