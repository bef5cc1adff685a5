// Descriptors from one process to another, over a unix socket: how a process hands its userfaultfd
// to the server that fills its pages. Any thread; one message is one call.
#pragma once

#include <cstddef>
#include <span>
#include <vector>
#include <weir/error.hpp>

namespace weir::os {

struct ReceivedDescriptor {
  int fd = -1;  // the caller's to close; close-on-exec
  std::vector<std::byte> payload;
};

inline constexpr std::size_t kMaxDescriptorPayload = std::size_t{64} << 10;

// Sends one descriptor, and `payload` with it: 1 to kMaxDescriptorPayload bytes. The sender keeps
// its own. Errors: invalid_argument (payload, or not a unix socket), closed (the other end is gone,
// or `fd` is no descriptor).
Expected<> send_descriptor(int socket, int fd, std::span<const std::byte> payload);

// Waits for one. Errors: closed (the other end is gone), invalid_argument (the message has no
// descriptor, or more than one: those are closed), out_of_memory (no room for another descriptor).
Expected<ReceivedDescriptor> receive_descriptor(int socket);

// A blocking userfaultfd cannot be polled.
Expected<> set_non_blocking(int fd);

}  // namespace weir::os
