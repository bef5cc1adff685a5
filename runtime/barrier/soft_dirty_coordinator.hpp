// The one user of clear_refs in a process, for all soft-dirty barriers.
#pragma once

#include <array>
#include <mutex>
#include <weir/error.hpp>
#include <weir/memory_fd.hpp>

#include "runtime/barrier/tracked_range.hpp"
#include "runtime/os/fault_gate.hpp"
#include "runtime/os/pagemap.hpp"
#include "runtime/os/range_map.hpp"

namespace weir::barrier {

class SoftDirtyCoordinator final : public os::ForkParticipant {
 public:
  static SoftDirtyCoordinator& the();

  // The first range opens the files, the last one closes them. Error busy: another soft-dirty
  // barrier has the memory.
  Expected<> add(TrackedRange& tracked);
  void remove(TrackedRange& tracked);

  // Moves the kernel's record of all ranges into their dirty bits, where something is armed nearby,
  // and clears it. The fault gate held shared, all signals blocked, all writers stopped.
  Expected<> harvest();
  // Opens the files anew.
  Expected<> reopen();

  void after_fork_in_child() noexcept override;

 private:
  // `populated`: which pages the last harvest that looked there found in memory or swap. One that
  // is in neither any more was released (MADV_DONTNEED), and its soft-dirty bit went with it.
  struct Watched {
    TrackedRange& tracked;
    UnitBits populated;
  };

  SoftDirtyCoordinator() { os::FaultGate::enlist(*this); }
  Expected<> harvest(Watched& watched);
  Expected<> open_files();
  void close_files();

  std::mutex lock_;  // one harvest at a time
  os::Pagemap pagemap_;
  MemoryFd clear_refs_;
  os::RangeMap<Watched*> ranges_;  // owned
  std::array<std::uint64_t, 4096> entries_{};
};

}  // namespace weir::barrier
