// Learns which pages of anybody's memory were written: no collector needed.
//
//   auto tracker = weir::DirtyTracker::create().value();
//   tracker.watch(memory, size).value();
//   ... write ...
//   tracker.take([](weir::Range written) { ... }).value();   // and watches on
//
// No write is lost: one that completes after watch() returned is reported by the next take() that
// begins after it, or by the one in progress. More may be reported than was written, never less.
// Thread-safe; take() calls are made one after the other. The sink runs in the calling thread with
// no lock of the fault path held: it may read and write watched memory.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>
#include <weir/address.hpp>
#include <weir/barrier.hpp>
#include <weir/error.hpp>

namespace weir {

class DirtyTracker {
 public:
  struct Options {
    // nullopt: the first of async, uffd-thread, soft-dirty, uffd-sigbus, mprotect, always-dirty
    // that passes its self-test here and that the options below allow. WEIR_BARRIER overrides.
    std::optional<BarrierKind> barrier;
    // Accept that system calls which write into watched memory (read(2), recv(2)) fail with EFAULT.
    bool accept_efault = false;
    // Promise that nobody writes into watched memory during watch() and take(): soft-dirty, also
    // when it is named, is refused without it.
    bool writers_are_stopped = false;
  };

  static Expected<DirtyTracker> create(const Options& options);
  static Expected<DirtyTracker> create() { return create(Options()); }
  DirtyTracker(DirtyTracker&&) noexcept;
  DirtyTracker& operator=(DirtyTracker&&) noexcept;
  ~DirtyTracker();  // stops watching everything

  // Whole pages of private writable memory. Errors: misaligned; busy (overlaps a watched range);
  // not_registered (not mapped); unsupported (memory of a kind that this barrier cannot watch).
  // On error nothing is watched that was not watched before. While it is watched: where
  // traits().owns_protection, do not mprotect(2) it; where traits().forgets_released, do not give
  // pages of it back with MADV_DONTNEED.
  Expected<> watch(void* memory, std::size_t bytes);
  // Exactly a range that was given to watch(). Unmap or move memory only after this (take() reports
  // a range with a hole in it as written as a whole, with the reason among refusals()).
  Expected<> unwatch(void* memory, std::size_t bytes);

  // Calls sink(Range) for each run of pages written since the last take, in address order within a
  // watched range, and watches them again. Returns how many bytes were reported.
  template <class Sink>
  Expected<std::size_t> take(Sink&& sink) {
    using Plain = std::remove_reference_t<Sink>;
    return take_with([](void* context, Range run) { (*static_cast<Plain*>(context))(run); },
                     const_cast<std::remove_const_t<Plain>*>(&sink));
  }

  // With BarrierKind::cards only, after each write; nothing with the others.
  void wrote(const void* first, std::size_t bytes);

  BarrierKind barrier() const;
  BarrierTraits traits() const;
  BarrierCounters counters() const;
  // Why better barriers were not taken, and how the running one degraded since.
  std::vector<BarrierRefusal> refusals() const;

 private:
  struct State;
  explicit DirtyTracker(std::unique_ptr<State> state);
  Expected<std::size_t> take_with(void (*sink)(void* context, Range run), void* context);
  std::unique_ptr<State> state_;
};

}  // namespace weir
