#include "runtime/faults/doorbell.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace weir::faults {

Expected<Doorbell> Doorbell::make() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    return system_error(errno, "making a pipe for the fault server");
  Doorbell doorbell;
  doorbell.ends_[0] = MemoryFd(ends[0]);
  doorbell.ends_[1] = MemoryFd(ends[1]);
  return doorbell;
}

void Doorbell::ring() const {
  if (!ends_[1].is_intact()) return;
  [[maybe_unused]] const ssize_t n = ::write(ends_[1].get(), "", 1);  // full: it was rung
}

void Doorbell::answer() const {
  if (!ends_[0].is_intact()) return;
  char rings[64];
  while (::read(ends_[0].get(), rings, sizeof rings) == sizeof rings) {
  }
}

void Doorbell::repair() {
  for (MemoryFd& end : ends_) end = MemoryFd();  // first: the new ones may get the same numbers
  if (auto made = make()) *this = std::move(*made);
}

}  // namespace weir::faults
