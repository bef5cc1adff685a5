#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <weir/userfaultfd.hpp>

#include "runtime/os/abi.hpp"

namespace weir {
namespace {

using os::abi::UffdEventCode;
using os::abi::UffdMsg;

constexpr const char* kReading = "reading userfaultfd events";

UffdEvent decode(const UffdMsg& message) {
  switch (message.event) {
    case UffdEventCode::pagefault: {
      const auto& fault = message.pagefault;
      return PagefaultEvent{Address(fault.address), (fault.flags & os::abi::kFaultWrite) != 0,
                            (fault.flags & os::abi::kFaultWp) != 0,
                            (fault.flags & os::abi::kFaultMinor) != 0, fault.thread};
    }
    case UffdEventCode::fork:
      return ForkEvent{static_cast<int>(message.fork.fd)};
    case UffdEventCode::remap:
      return RemapEvent{Address(message.remap.from), Address(message.remap.to), message.remap.len};
    case UffdEventCode::remove:
      return RemoveEvent{
          Range::between(Address(message.remove.start), Address(message.remove.end))};
    case UffdEventCode::unmap:
      return UnmapEvent{Range::between(Address(message.remove.start), Address(message.remove.end))};
  }
  return UnknownEvent{static_cast<std::uint8_t>(message.event)};
}

// How many messages; 0 when there is none now. The kernel delivers whole messages only.
Expected<std::size_t> read_messages(int fd, void* storage, std::size_t bytes) {
  for (;;) {
    const ssize_t got = ::read(fd, storage, bytes);
    if (got >= 0) return static_cast<std::size_t>(got) / sizeof(UffdMsg);
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) return system_error(errno, kReading);
  }
}

}  // namespace

UffdEventBuffer::UffdEventBuffer(std::size_t capacity) : storage_(capacity * kMessageSize) {
  static_assert(kMessageSize == sizeof(UffdMsg));
}

Expected<std::variant<std::monostate, UffdEvent>> Userfaultfd::read_event() const {
  UffdMsg message;
  const auto count = read_messages(fd(), &message, sizeof message);
  if (!count) return Unexpected(count.error());
  if (*count == 0) return std::monostate();
  return decode(message);
}

Expected<std::size_t> Userfaultfd::read_events(UffdEventBuffer& buffer,
                                               std::vector<UffdEvent>& events) const {
  const auto count = read_messages(fd(), buffer.storage_.data(), buffer.storage_.size());
  if (!count) return count;
  for (std::size_t i = 0; i < *count; ++i) {
    UffdMsg message;
    std::memcpy(&message, buffer.storage_.data() + i * sizeof message, sizeof message);
    events.push_back(decode(message));
  }
  return count;
}

}  // namespace weir
