// The write barriers by name, what each can do, and how one is chosen. The barriers themselves are
// used through weir/dirty_tracker.hpp, or by the collector.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>
#include <weir/error.hpp>

namespace weir {

enum class BarrierKind {
  async,         // userfaultfd WP_ASYNC, resolved in the kernel; read by PAGEMAP_SCAN
  uffd_thread,   // userfaultfd write protection, answered by a handler thread
  uffd_sigbus,   // userfaultfd write protection, answered by SIGBUS in the writing thread
  mprotect,      // mprotect(2), answered by SIGSEGV in the writing thread
  soft_dirty,    // /proc/self/clear_refs and the soft-dirty bit of pagemap
  cards,         // the program reports its writes (weir_write_barrier); 512-byte cards
  always_dirty,  // every page counts as written: always right, the oracle for all others
};
inline constexpr std::array kBarrierKinds = {BarrierKind::async,       BarrierKind::uffd_thread,
                                             BarrierKind::uffd_sigbus, BarrierKind::mprotect,
                                             BarrierKind::soft_dirty,  BarrierKind::cards,
                                             BarrierKind::always_dirty};

const char* name_of(BarrierKind kind);  // "uffd-thread", ...
// "auto" gives nullopt; an unknown name is an error that lists the known ones.
Expected<std::optional<BarrierKind>> parse_barrier(std::string_view name);

// Who answers userfaults: a property of a whole userfaultfd.
enum class Delivery { thread, sigbus };
const char* name_of(Delivery delivery);
Expected<Delivery> parse_delivery(std::string_view name);

struct BarrierTraits {
  std::size_t granularity = 0;       // bytes per unit of dirtiness
  bool sees_kernel_writes = false;   // system calls that write into armed memory are recorded
  bool needs_privilege = false;      // a full userfaultfd
  bool needs_signal = false;         // SIGSEGV or SIGBUS is handled by Weir
  bool needs_calls = false;          // the program must report its writes
  bool needs_stopped_world = false;  // arm and take lose writes made meanwhile by other threads
  bool adds_mappings = false;        // written pages cost VMAs (vm.max_map_count)
  bool owns_protection = false;      // the program may not mprotect(2) attached memory itself
  bool forgets_released = false;     // MADV_DONTNEED disarms without a trace: disarm before it
  int threads = 0;                   // threads of its own
};

// Why a better barrier was not taken, or what a running one fell back to. For `weir doctor`, the
// statistics and the log [say-why].
struct BarrierRefusal {
  BarrierKind kind;
  Error why;
};

struct BarrierCounters {
  std::size_t traps = 0;         // first writes recorded by this process itself
  std::size_t pages_taken = 0;   // units reported by take
  std::size_t pages_extra = 0;   // of these, reported without a known write (degraded, widened)
  std::size_t system_calls = 0;  // made by attach, arm, disarm, take and detach
  std::size_t widened = 0;       // times more was unprotected than the page written (mprotect)
  std::size_t recoveries = 0;    // times the mechanism was lost and set up anew
};

}  // namespace weir
