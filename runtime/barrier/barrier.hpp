// The contract of all write barriers: which pages of the attached ranges were written.
//
// The law, the same for all [no-lost-write]: a write that completes after arm() returned is
// reported by the next take() that begins after it, or by the one in progress. More may be reported
// than was written; the counters say how much. A mechanism that fails reports everything, is set up
// anew where that is possible, and says why in notes() [say-why].
//
//   unarmed --arm--> armed --first write--> armed and dirty --take(rearm)--> armed
//      ^               |                            |
//      +---disarm------+--------disarm--------------+--take(leave)--> unarmed
//
// attach, arm, take and detach are called by one collector thread, the world stopped or not; disarm
// also by a mutator, for memory that only it writes to. Writes are recorded concurrently with all
// of them, save where traits().needs_stopped_world. None is called from a signal handler. The sink
// of take() runs with nothing locked, and may touch attached memory.
//
// This class does what all barriers share; a back-end implements the five hooks.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>
#include <weir/barrier.hpp>
#include <weir/error.hpp>

#include "runtime/barrier/tracked_range.hpp"
#include "runtime/os/function_ref.hpp"
#include "runtime/os/range_map.hpp"
#include "runtime/os/shared_lock.hpp"

namespace weir::faults {
class FaultServer;
}

namespace weir::barrier {

enum class Then { rearm, leave_unarmed };
using DirtySink = os::FunctionRef<void(Range run)>;

class Barrier {
 public:
  virtual ~Barrier() = default;  // a back-end's destructor calls detach_all()

  // Whole pages. It may be a reservation without access, however large: that costs neither time nor
  // memory, here and at detach; what is armed of it has been made accessible before. Errors leave
  // everything as it was: misaligned, busy (overlaps an attached range), unsupported (this memory
  // cannot be watched by this barrier), and what the kernel refuses.
  Expected<> attach(Range range);
  // Exactly an attached range. Wakes whoever waits; the memory is writable then.
  Expected<> detach(Range range);

  // `part` is made of whole units and lies in one attached range; else misaligned, not_registered.
  Expected<> arm(Range part);
  // The same for memory with a page source, of which nothing is there yet: pages arrive armed, and
  // no hole is touched. Costs a bit for each unit.
  Expected<> arm_arriving(Range part);
  Expected<> disarm(Range part);
  // Calls `sink` for each run of armed units that were written since they were armed, in address
  // order; returns how many bytes that were.
  Expected<std::size_t> take(Range part, DirtySink sink, Then then);

  // The program wrote there. Needed by `cards`, nothing in all others.
  virtual void record(Range /*written*/) noexcept {}

  BarrierKind kind() const { return kind_; }
  const BarrierTraits& traits() const { return traits_; }
  BarrierCounters counters() const;
  // How many are armed now. Any thread.
  std::size_t armed_units() const { return armed_.load(std::memory_order_relaxed); }
  // What went wrong since, newest last; a few kinds of trouble are kept, each once.
  std::vector<BarrierRefusal> notes() const;
  // The fault server behind it, for page sources; nullptr where there is none.
  virtual faults::FaultServer* server() { return nullptr; }

  // What the self-test found out.
  void set_sees_kernel_writes(bool sees) { traits_.sees_kernel_writes = sees; }

 protected:
  Barrier(BarrierKind kind, const BarrierTraits& traits);
  void detach_all();

  // Hooks. begin and end: nothing held. The others: the fault gate held shared, all signals
  // blocked. Error `again` means: nothing is lost, let go of everything, and call once more.
  virtual Expected<> begin(TrackedRange& tracked) = 0;
  virtual void end(TrackedRange& tracked) = 0;
  // None of the units is armed yet. Sets their armed bits.
  virtual Expected<> arm_units(TrackedRange& tracked, UnitSpan span) = 0;
  // The same for units that are not there. A mechanism whose protection is on pages that are there
  // only sets the bits.
  virtual Expected<> arm_arriving_units(TrackedRange& tracked, UnitSpan span) {
    return arm_units(tracked, span);
  }
  // Takes the protection off; the armed and dirty bits are cleared after it.
  virtual Expected<> disarm_units(TrackedRange& tracked, UnitSpan span) = 0;
  // All of `span` is mapped. Adds the written units to `taken`, and re-arms them or clears their
  // armed bits.
  virtual Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) = 0;
  // Waits until what the program did before this call has been recorded. Nothing held.
  virtual void settle() {}
  // After an error: sets the mechanism up anew; everything armed is dirty then. Nothing held.
  virtual Expected<> recover() { return {}; }

  // Everything armed is taken. For barriers that cannot tell, or cannot any more.
  static std::size_t take_all_armed(TrackedRange& tracked, UnitSpan span, Then then);

  TrackedRange* find(Address address) {  // fault gate held
    auto* entry = ranges_.find(address);
    return entry != nullptr ? entry->value : nullptr;
  }
  void note(const Error& why) noexcept;  // from anywhere, the fault path included
  void count_system_call() { system_calls_.fetch_add(1, std::memory_order_relaxed); }
  void count_trap() { traps_.fetch_add(1, std::memory_order_relaxed); }
  void count_widened() { widened_.fetch_add(1, std::memory_order_relaxed); }
  void count_extra(std::size_t units) { extra_.fetch_add(units, std::memory_order_relaxed); }

  BarrierTraits traits_;

 private:
  static constexpr std::size_t kMaxNotes = 8;

  void forget(Range range);  // takes it out of ranges_
  Expected<TrackedRange*> find_for(Range part, const char* what);
  struct Operated {
    TrackedRange* tracked = nullptr;  // nullptr: bad input
    Expected<> result;
  };
  template <class Operation>
  Operated operate(Range part, const char* what, Operation&& operation);
  std::size_t report(TrackedRange& tracked, UnitSpan span, DirtySink sink);

  const BarrierKind kind_;
  os::RangeMap<TrackedRange*> ranges_;

  std::atomic<std::size_t> traps_{0};
  std::atomic<std::size_t> armed_{0};
  std::atomic<std::size_t> taken_{0};
  std::atomic<std::size_t> extra_{0};
  std::atomic<std::size_t> system_calls_{0};
  std::atomic<std::size_t> widened_{0};
  std::atomic<std::size_t> recoveries_{0};

  mutable os::SharedLock notes_lock_;
  Error notes_[kMaxNotes];
  std::size_t note_count_ = 0;
};

}  // namespace weir::barrier
