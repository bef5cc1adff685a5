// Descriptors over unix sockets: what arrives is the same file, and every way to send something
// else is an error that leaks nothing.
#include "runtime/os/fd_passing.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "runtime/os/file_identity.hpp"
#include "tests/support/random.hpp"

namespace weir {
namespace {

using namespace test;

struct Sockets {
  int a = -1, b = -1;
  Sockets() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    a = ends[0], b = ends[1];
  }
  ~Sockets() { close_a(), ::close(b); }
  void close_a() {
    if (a >= 0) ::close(a);
    a = -1;
  }
};

// The lowest free number: the same before and after when nothing leaks.
int next_number() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

TEST_CASE("the same file arrives, close-on-exec, with its payload of any size") {
  Random random(seed_for("fd_passing: round trip"));
  Sockets sockets;
  const int next = next_number();
  for (std::size_t i = 0; i < scaled(50); ++i) {
    std::vector<std::byte> payload(i == 0 ? os::kMaxDescriptorPayload
                                          : 1 + random() % os::kMaxDescriptorPayload);
    for (std::byte& byte : payload) byte = static_cast<std::byte>(random());
    std::jthread sender([&] { CHECK(os::send_descriptor(sockets.a, sockets.b, payload)); });
    auto received = os::receive_descriptor(sockets.b);
    REQUIRE(received);
    CHECK(os::FileIdentity::of(received->fd) == os::FileIdentity::of(sockets.b));
    CHECK(!(os::FileIdentity::of(received->fd) == os::FileIdentity::of(sockets.a)));
    CHECK(received->payload == payload);
    CHECK((::fcntl(received->fd, F_GETFD) & FD_CLOEXEC) != 0);
    ::close(received->fd);
  }
  CHECK(next_number() == next);
}

TEST_CASE("refused, with a code that tells what it was") {
  const std::byte one[1] = {};
  {
    Sockets sockets;
    const auto code = [](const Expected<>& sent) {
      REQUIRE(!sent);
      return sent.error().code;
    };
    const std::vector<std::byte> too_long(os::kMaxDescriptorPayload + 1);
    CHECK(code(os::send_descriptor(sockets.a, 0, {})) == ErrorCode::invalid_argument);
    CHECK(code(os::send_descriptor(sockets.a, 0, too_long)) == ErrorCode::invalid_argument);
    CHECK(code(os::send_descriptor(sockets.a, -1, one)) == ErrorCode::closed);
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    CHECK(code(os::send_descriptor(pipe_ends[1], 0, one)) == ErrorCode::invalid_argument);
    CHECK(os::receive_descriptor(pipe_ends[0]).error().code == ErrorCode::invalid_argument);
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
    sockets.close_a();
    CHECK(code(os::send_descriptor(sockets.b, 0, one)) == ErrorCode::closed);
    CHECK(os::receive_descriptor(sockets.b).error().code == ErrorCode::closed);
  }
  {
    Sockets sockets;  // no descriptor in it
    REQUIRE(::write(sockets.a, "12345678", 8) == 8);
    CHECK(os::receive_descriptor(sockets.b).error().code == ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace weir
