// A process that is served: hands its userfaultfd over a socket, and does what a test wants.
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "runtime/os/fd_passing.hpp"
#include "tests/faults/rig.hpp"

namespace weir::test {

inline constexpr std::size_t kClientPages = 64;

struct Hello {
  std::uintptr_t begin;
  std::size_t size;
};

// Maps kClientPages pages, hands them over, and does as `body` says.
class Client {
 public:
  using Body = std::function<int(Range, const OracleSource&)>;

  Client(std::uint64_t seed, const Body& body, std::size_t unnamed_pages = 0) {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) == 0);
    pid_ = ::fork();
    if (pid_ == 0) ::_exit(run(seed, body, unnamed_pages));
    ::close(ends_[1]);
  }
  ~Client() {
    if (pid_ > 0) wait();
    ::close(ends_[0]);
  }
  Expected<> hand_to(faults::FaultServer& server, faults::PageSource& source) {
    auto received = os::receive_descriptor(ends_[0]);
    if (!received) return Unexpected(received.error());
    Hello hello;
    REQUIRE(received->payload.size() == sizeof hello);
    std::memcpy(&hello, received->payload.data(), sizeof hello);
    const faults::FaultServer::RemotePages pages[] = {
        {{Address(hello.begin), hello.size}, &source}};
    auto adopted = server.adopt(Userfaultfd::from_raw_fd(received->fd, features()), pages);
    if (adopted) REQUIRE(::write(ends_[0], "g", 1) == 1);
    return adopted;
  }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  pid_t pid() const { return pid_; }

  static UffdFeatures features() {
    return {UffdFeature::event_fork, UffdFeature::event_remap, UffdFeature::event_remove,
            UffdFeature::event_unmap};
  }

 private:
  int run(std::uint64_t seed, const Body& body, std::size_t unnamed_pages) {
    ::alarm(60);
    for (const int signal : {SIGSEGV, SIGABRT, SIGBUS}) std::signal(signal, SIG_DFL);
    ::close(ends_[0]);
    const OracleSource oracle(seed, kClientPages);
    auto memory = os::Mapping::anonymous((kClientPages + unnamed_pages) * os::page_size(),
                                         os::HugePages::never);
    // Blocking, as a client that never reads it may leave it.
    auto uffd = Userfaultfd::Builder().require_features(features()).non_blocking(false).create();
    if (!memory || !uffd || !uffd->register_range(memory->range())) return 100;
    const Range range = page_of(memory->range(), 0, kClientPages);
    const Hello hello{range.begin.value(), range.size};
    if (!os::send_descriptor(ends_[1], uffd->fd(), std::as_bytes(std::span(&hello, 1)))) return 101;
    char go;
    if (::read(ends_[1], &go, 1) != 1) return 102;
    const int result = body(range, oracle);
    ::_exit(result);  // without unmapping: the server may be gone by then
  }

  int ends_[2];
  pid_t pid_;
};

inline bool can_be_served(const char* test) {
  return open_or_skip(test, Userfaultfd::Builder().require_features(Client::features()))
      .has_value();
}

// Nothing tells when the thread has got round to it.
inline void wait_for_spaces(const faults::FaultServer& server, std::size_t count) {
  while (server.remote_spaces() != count) ::sched_yield();
}

inline bool all_match(Range range, const OracleSource& oracle, std::size_t first,
                      std::size_t past) {
  for (std::size_t i = first; i < past; ++i)
    if (!oracle.matches(page_of(range, i).begin, i)) return false;
  return true;
}

inline bool is_zero(Address page) {
  const std::vector<char> zeros(os::page_size());
  return std::memcmp(page.as(), zeros.data(), os::page_size()) == 0;
}

}  // namespace weir::test
