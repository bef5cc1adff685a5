// Gets a thread out of poll(2). Whoever rings may be any thread; the one that sleeps does the rest.
// Its descriptors may be closed by somebody who does not know them, and their numbers be his files:
// these are neither read nor written, and the sleeper makes new ones.
#pragma once

#include <weir/error.hpp>
#include <weir/memory_fd.hpp>

namespace weir::faults {

class Doorbell {
 public:
  static Expected<Doorbell> make();

  // Not at the same time as repair().
  void ring() const;

  int fd() const { return ends_[0].get(); }  // readable when it was rung; for poll(2)
  void answer() const;
  bool is_intact() const { return ends_[0].is_intact() && ends_[1].is_intact(); }
  // New descriptors, if they can be had. A ring may have been lost.
  void repair();

 private:
  // A pipe: all eventfds of the system have the same inode, and cannot be told apart.
  MemoryFd ends_[2];
};

}  // namespace weir::faults
