// Owns a userfaultfd and its delivery: a handler thread, or SIGBUS in the faulting thread. Hands
// stores to protected pages to their barrier and missing pages to their source. May serve other
// processes' descriptors beside, from the same thread.
//
//      faulting thread          kernel             handler thread
//      store ---- fault ----->  message  ------->  FaultSpace::answer
//      (sleeps)                                      |- write protected? -> WriteFaultHandler
//      goes on <-- wake -----  WRITEPROTECT/COPY <---|- missing?         -> PageSource
//
//      with SIGBUS: the same answer, given by the signal handler in the faulting thread itself.
//
// Calls other than the fault path come from any thread, none of them from a signal handler.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <weir/barrier.hpp>
#include <weir/userfaultfd.hpp>

#include "runtime/faults/fault_space.hpp"
#include "runtime/faults/handler_thread.hpp"
#include "runtime/os/fault_gate.hpp"
#include "runtime/os/fault_signals.hpp"

namespace weir::faults {

struct ServerCounters {
  std::size_t answered = 0;  // faults
  std::size_t deferred = 0;  // of these, put off because the address space was changing
  std::size_t unknown = 0;   // faults that nobody answered for
  std::size_t wakeups = 0;   // of the handler thread, by a message
  std::size_t rounds = 0;    // of the handler thread: one a second when there is nothing to do
};

class FaultServer final : public os::SignalFaultHandler, public os::ForkParticipant {
 public:
  struct Options {
    Delivery delivery = Delivery::thread;
    UffdFeatures required;            // beside what the delivery needs
    UffdFeatures wanted;              // taken where the kernel has them
    bool require_full = false;        // not a user-mode-only descriptor
    bool user_mode_only = false;      // only that one
    std::size_t push_per_second = 0;  // bytes, of what PageSource::push brings; 0: no limit
  };
  static Expected<std::unique_ptr<FaultServer>> start(const Options& options);
  // Everything still attached is released as by release(), and what adopted processes still miss is
  // filled. [fill-then-close]
  ~FaultServer() override;

  // Store faults of the range go to `handler`. Errors: misaligned, busy, unsupported memory.
  Expected<> watch_writes(Range range, WriteFaultHandler& handler);
  // Missing pages of the range come from `source`. The range may be watched already, or later.
  Expected<> serve_missing(Range range, PageSource& source);
  // Brings in what is missing of a part of a served range, in the calling thread.
  Expected<> bring_in(Range part);
  // Ends both for exactly this range. What is still missing is filled first, unless `abandon`
  // (the memory is about to be unmapped). Whoever waits is woken.
  enum class Unfilled { fill, abandon };
  Expected<> release(Range range, Unfilled unfilled = Unfilled::fill);

  // For barriers; the range lies in one that they watch.
  UffdResult protect(Range range) const;
  UffdResult unprotect(Range range, WakeMode wake = WakeMode::wake) const;
  bool serves_missing(Range range) const;  // fault gate held
  bool is_missing(Address page) const;     // its source has not brought it in; fault gate held

  // Returns when everything that a program was told to go on after (a MADV_DONTNEED, with
  // UffdFeature::event_remove; the fork of another process) has reached the handlers. Nothing held.
  void settle() const;

  // Is the descriptor still the one that we opened, with all ranges registered? One system call, or
  // two.
  bool is_alive() const;
  // Opens a new descriptor in place of a lost one and registers everything anew. Each barrier is
  // told that its protection is gone, also when this fails. With pages served lazily there is no
  // going on: some may have read as zeros by now, so the process stops with a sentence.
  Expected<> recover();

  // Serves another process, whose descriptor was received over a socket: `pages` are its ranges and
  // where their missing pages come from. The sources outlive the space. Its forks, moves and
  // unmappings are followed where the descriptor has those events.
  struct RemotePages {
    Range range;
    PageSource* source;
  };
  Expected<> adopt(Userfaultfd descriptor, std::span<const RemotePages> pages);
  // Another process's end is told by nobody but its next fill that fails. Whoever holds its socket,
  // or waited for it, calls this: soon after, the descriptors of all processes that are gone, their
  // forks included, are closed. Also done at each adopt().
  void drop_departed();
  std::size_t remote_spaces() const;

  Delivery delivery() const { return options_.delivery; }
  UffdFeatures features() const { return space_.descriptor().features(); }
  bool is_full() const { return space_.descriptor().is_full(); }
  ServerCounters counters() const;

  // Internal: the two deliveries and fork.
  os::SignalVerdict on_signal(const os::SignalFault& fault) noexcept override;
  void after_fork_in_child() noexcept override;

 private:
  explicit FaultServer(const Options& options) : options_(options) {}
  Expected<> open();
  Expected<> claim_and_add(Range range, const Answerers& more, bool by_signal);
  Expected<> add(Range range, const Answerers& more);
  Expected<> fill_missing(Range range);
  Range any_range() const;
  Expected<> start_thread_if_needed();
  void start_team();
  Expected<> register_everything();
  Expected<> reopen();

  Options options_;
  FaultSpace space_;
  std::unique_ptr<FillTeam> team_;  // once there is a slow source
  std::unique_ptr<HandlerThread> thread_;
  std::atomic<bool> is_whole_{true};  // all of the table is registered with the descriptor
  std::atomic<std::size_t> answered_by_signal_{0};
  std::atomic<std::size_t> unknown_by_signal_{0};
};

}  // namespace weir::faults
