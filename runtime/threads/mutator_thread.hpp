// A thread's access to one world (docs/threads.md): whether it runs, where it stands still, and
// what of its stacks a conservative collector has to read then.
//
// Calls are for the thread that the mutator is on, unless said otherwise. Polling one mutator means
// polling all mutators of the thread: whatever makes the thread wait here, in safepoint(),
// leave_blocking(), attach, detach or World::stop(), all its mutators count as stopped at a poll.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <weir/address.hpp>
#include <weir/error.hpp>

#include "runtime/os/function_ref.hpp"
#include "runtime/threads/host_thread.hpp"
#include "runtime/threads/stack.hpp"

namespace weir::threads {

enum class StopMode : std::uint8_t {
  poll,    // it looks at the poll word often, and blocks only in blocking regions
  signal,  // a real-time signal stops it wherever it stands; its stack is conservative
};

struct ThreadOptions {
  StopMode stop = StopMode::poll;
  bool conservative_stack = true;  // always so with StopMode::signal
  Address stack_base;  // the cold end of what is scanned; default: that of the thread's stack
};

enum class MutatorState : std::uint32_t {
  detached,
  running,
  blocked,          // in a blocking region
  stopped_at_poll,  // waits in a call to this layer, its registers spilled
  stopped_by_signal,
};
const char* name_of(MutatorState state);

// The bit of the poll word that a world sets while it wants its threads to stop. Others are the
// owner's: the world changes only its own, atomically.
inline constexpr std::uint32_t kPollStop = 1;

class MutatorThread {
 public:
  // `poll_word` is what the mutator polls, by relaxed loads; it lives as long as this does.
  explicit MutatorThread(std::uint32_t& poll_word) : poll_word_(poll_word) {}
  // It is detached by then.
  ~MutatorThread();
  MutatorThread(const MutatorThread&) = delete;
  MutatorThread& operator=(const MutatorThread&) = delete;

  // The poll's slow path: stops here while its world wants it to, else returns at once. Also inside
  // a Runtime, by code that holds no lock that others of the world may wait for.
  void safepoint();

  // Between the two the thread may not touch the heap or take references away from its stack, and
  // counts as stopped. They nest; only the outermost pair does something.
  //
  // leave_blocking() waits while the world is stopped. It may be called on another thread than
  // enter_blocking() was: then the mutator is on that one from now on (stack bounds, signals), and
  // what the old thread's own stack has on it is no longer its business. The old thread has not
  // ended by then: a thread that ends takes the mutators that blocked on it along.
  void enter_blocking();
  void leave_blocking();
  bool is_blocking() const { return blocking_depth_ != 0; }

  // The thread is in the runtime's slow path, where it may hold locks of the runtime: a stop signal
  // is obeyed at the end, at a poll. For all mutators of the thread alike; they nest. Costs two
  // plain stores and a check. A poll-mode thread is not affected: it stops at polls anyway.
  //
  // A signal-mode thread calls no malloc in between, nor takes any other lock that code outside of
  // a Runtime may hold: whoever holds it may be stopped already, and the stop waits for this
  // thread. Off-heap memory is fine.
  class Runtime {
   public:
    explicit Runtime(MutatorThread& thread) : section_(*thread.host_) {}

   private:
    HostThread::Section section_;
  };

  // The frames of a call into the runtime are full of addresses that mean nothing: of blocks, of
  // free memory, of what earlier calls left. A call that may collect and has no reference of its
  // caller's in its hands notes where it was entered, and while it waits for a stop, or does the
  // collection itself, the stack is scanned from there. By WEIR_NOTE_ENTRY.
  void note_entry(Address sp) { entry_ = sp; }
  class ScannedFromEntry {  // in such a call
   public:
    explicit ScannedFromEntry(MutatorThread& thread) : thread_(thread) {
      thread_.is_scanned_from_entry_ = true;
    }
    ~ScannedFromEntry() { thread_.is_scanned_from_entry_ = false; }
    ScannedFromEntry(const ScannedFromEntry&) = delete;
    ScannedFromEntry& operator=(const ScannedFromEntry&) = delete;

   private:
    MutatorThread& thread_;
  };

  MutatorState state() const {
    return static_cast<MutatorState>(word_.load(std::memory_order_acquire) & kStateMask);
  }
  StopMode stop_mode() const { return stop_mode_; }
  bool is_conservative() const { return is_conservative_; }
  // World stopped: it stands at any instruction, not at a poll and not in a blocking region.
  bool stopped_by_signal() const { return state() == MutatorState::stopped_by_signal; }

  // World stopped, any thread: every range of memory that may hold references of this thread:
  // registers (vector registers included), the part of the stack in use, fibers' stacks. Nothing if
  // it is not conservative. Whole, aligned words; ranges may overlap. With AddressSanitizer's
  // use-after-return also the frames that it moved to its fake stack, as far as the others refer to
  // them.
  //
  // The reader is a function with no_sanitize("address", "thread"): stacks are full of redzones,
  // and a thread in a blocking region writes to its stack meanwhile.
  void for_each_conservative_range(os::FunctionRef<void(Range)> sink) const;

  // Fibers and green threads. A stack belongs to this mutator, until it is unregistered or the
  // mutator detached. It is scanned from where the program left it; one that the program never ran
  // on, whole; one that is running now, from its stack pointer: found by address, so nothing
  // depends on which instruction of a switch a signal hits. Errors: invalid_argument (empty, or
  // not aligned to words), busy (overlaps another one), out_of_memory.
  Expected<Stack*> register_stack(Range memory);
  // Errors: not_registered; busy (the thread stands on it).
  Expected<> unregister_stack(Stack* stack);
  // Right before the program switches from the stack that it stands on to `to`; nullptr: to the
  // thread's own. The registers that the switch saves are on the stack that it leaves or in
  // `registers`, which is read while the stack is left.
  void switch_stack(Stack* to, const void* registers, std::size_t bytes);

 private:
  friend class ForkStop;
  friend class HostThread;
  friend class World;
  friend struct Registry;

  // A word that says both where the thread is and whether its world wants it to stop; also the
  // futex that both sides wait on. The thread makes all transitions but attach's and detach's.
  // Those to `running` are refused while a stop is asked for, and a thread that is not running when
  // it is asked stays so until resume: that is all there is to it.
  static constexpr std::uint32_t kStateMask = 0xff;
  static constexpr std::uint32_t kStopAsked = 0x100;

  // False: it is to `running`, and a stop is asked for.
  bool transition(MutatorState to);
  bool is_stop_asked() const { return (word_.load(std::memory_order_acquire) & kStopAsked) != 0; }
  void wait_for_resume() const;  // returns when no stop is asked for

  // For World, which has the list locked.
  void ask_to_stop();
  void send_signal();
  void wait_until_stopped();
  void let_run();
  void vanish();  // its thread does not exist in this process, a forked child

  bool has_to_stop() const;
  void stand_still(const void* signal_context);
  bool try_to_run(const HostThread& host);
  Expected<> set_up(const HostThread& host, const ThreadOptions& options);
  void forget_stacks();

  void capture(StackPlace& place);
  void look_at_signal(const void* context);
  const Stack* stack_of(Address address) const;

  std::uint32_t& poll_word_;
  std::atomic<std::uint32_t> word_{0};
  std::atomic<pid_t> thread_id_{0};  // whom the stop signal goes to
  StopMode stop_mode_ = StopMode::poll;
  bool is_conservative_ = true;
  bool is_unsent_ = false;    // the queue of signals was full
  bool is_new_here_ = false;  // it left a blocking region on another thread than it entered
  unsigned blocking_depth_ = 0;

  // Where it stands when it does not run.
  StackPlace place_;
  Address entry_;
  bool is_scanned_from_entry_ = false;
  Address sp_;           // of the interrupted code, for one that is stopped by a signal
  Range signal_frames_;  // of other signal handlers, on the signal stack, between it and us
  Range registers_[2];   // in the signal's frame: general, and vector

  Stack own_;                // the thread's
  Stack* current_ = &own_;   // the one that it is on, but for the moment of a switch
  Stack* stacks_ = nullptr;  // the others

  HostThread* host_ = nullptr;
  MutatorThread* next_running_ = nullptr;  // in the host's lists
  MutatorThread* next_home_ = nullptr;
  class World* world_ = nullptr;
  MutatorThread* next_in_world_ = nullptr;
};

// In the function that the program calls: its frame has the registers that the program relies on.
#define WEIR_NOTE_ENTRY(thread)               \
  do {                                        \
    __builtin_unwind_init();                  \
    std::uintptr_t sp = 0;                    \
    WEIR_READ_STACK_POINTER(sp);              \
    (thread).note_entry(::weir::Address(sp)); \
  } while (false)

}  // namespace weir::threads
