#include "runtime/os/fd_passing.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace weir::os {
namespace {

constexpr const char* kSending = "sending a descriptor";
constexpr const char* kReceiving = "receiving a descriptor";

// On a stream, what follows the descriptor may come in pieces.
struct Header {
  std::uint64_t payload_size;
};

Unexpected socket_error(int sys_errno, const char* what) {
  Unexpected error = system_error(sys_errno, what);
  if (sys_errno == EPIPE || sys_errno == ECONNRESET || sys_errno == ENOTCONN)
    error.value().code = ErrorCode::closed;
  if (sys_errno == ENOTSOCK || sys_errno == EOPNOTSUPP)
    error.value().code = ErrorCode::invalid_argument;
  return error;
}

Expected<> transfer(int socket, std::byte* bytes, std::size_t size, bool sending) {
  while (size != 0) {
    const ssize_t done =
        sending ? ::send(socket, bytes, size, MSG_NOSIGNAL) : ::recv(socket, bytes, size, 0);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return socket_error(errno, sending ? kSending : kReceiving);
    if (done == 0) return fail(ErrorCode::closed, kReceiving, "the other end is gone");
    bytes += done;
    size -= static_cast<std::size_t>(done);
  }
  return {};
}

// A header with room for descriptors beside it.
struct Message {
  explicit Message(std::uint64_t payload_size) : header{payload_size} {
    raw.msg_iov = &piece;
    raw.msg_iovlen = 1;
    raw.msg_control = control;
    raw.msg_controllen = sizeof control;
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  Header header;
  iovec piece = {&header, sizeof header};
  // For two, to notice and close what is too much.
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr raw = {};
};

}  // namespace

Expected<> send_descriptor(int socket, int fd, std::span<const std::byte> payload) {
  if (payload.empty() || payload.size() > kMaxDescriptorPayload)
    return fail(ErrorCode::invalid_argument, kSending, "the payload is empty, or too long");
  Message message(payload.size());
  message.raw.msg_controllen = CMSG_SPACE(sizeof fd);
  cmsghdr* rights = CMSG_FIRSTHDR(&message.raw);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);

  ssize_t sent;
  while ((sent = ::sendmsg(socket, &message.raw, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  if (sent < 0) return socket_error(errno, kSending);
  if (sent != sizeof(Header)) return fail(ErrorCode::system, kSending, "the socket took a part");
  return transfer(socket, const_cast<std::byte*>(payload.data()), payload.size(), true);
}

Expected<ReceivedDescriptor> receive_descriptor(int socket) {
  Message message(0);
  ssize_t got;
  while ((got = ::recvmsg(socket, &message.raw, MSG_CMSG_CLOEXEC | MSG_WAITALL)) < 0 &&
         errno == EINTR) {
  }
  if (got < 0) return Unexpected(socket_error(errno, kReceiving).value());
  if (got == 0) return fail(ErrorCode::closed, kReceiving, "the other end is gone");

  ReceivedDescriptor received;
  std::size_t count = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message.raw); c != nullptr; c = CMSG_NXTHDR(&message.raw, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i, ++count) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (count == 0)
        received.fd = fd;
      else
        ::close(fd);
    }
  }
  const auto refuse = [&](ErrorCode code, const char* why) {
    if (received.fd >= 0) ::close(received.fd);
    return fail(code, kReceiving, why);
  };
  if ((message.raw.msg_flags & MSG_CTRUNC) != 0 && count == 0)
    return refuse(ErrorCode::out_of_memory, "no room for another descriptor (RLIMIT_NOFILE)");
  if (count != 1 || (message.raw.msg_flags & MSG_CTRUNC) != 0)
    return refuse(ErrorCode::invalid_argument, "the message has not exactly one descriptor");
  const std::uint64_t payload_size = message.header.payload_size;
  if (got != sizeof(Header) || payload_size == 0 || payload_size > kMaxDescriptorPayload)
    return refuse(ErrorCode::invalid_argument, "the message is not one of send_descriptor");
  received.payload.resize(payload_size);
  if (auto rest = transfer(socket, received.payload.data(), received.payload.size(), false);
      !rest) {
    ::close(received.fd);
    return Unexpected(rest.error());
  }
  return received;
}

Expected<> set_non_blocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) return {};
  return system_error(errno, "making a descriptor non-blocking");
}

}  // namespace weir::os
