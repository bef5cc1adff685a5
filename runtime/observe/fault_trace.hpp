// What happens on the fault path, step by step, for whoever wants to watch it: the demo, the tests,
// a trace. Each step is told before the thread that faulted can go on. Without an observer a step
// costs one load.
//
// Told from the handler thread or the faulting thread, the fault gate held shared: an observer
// obeys [quiet-server]. Faults that the kernel resolves by itself (WP_ASYNC) are told to nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <weir/address.hpp>

#ifdef WEIR_HAVE_SDT
#include <sys/sdt.h>
#endif

namespace weir::observe {

enum class FaultStep : std::uint8_t {
  missing,       // a fault arrived: the page is not there; `write` tells which access it was
  armed_write,   // a fault arrived: a write to an armed page
  recorded,      // the barrier has the page in its dirty set
  unprotecting,  // and is about to let the write through
  filled,        // pages were brought in, writable; who waits for them still sleeps
  filled_armed,  // the same, armed
};

struct FaultEvent {
  FaultStep step;
  bool write;
  Range pages;
};

class FaultObserver {
 public:
  virtual void on_fault_event(const FaultEvent& event) noexcept = 0;

 protected:
  ~FaultObserver() = default;
};

inline std::atomic<FaultObserver*> fault_observer{nullptr};

// One for the process; nullptr ends it. When it returns, the one before is no longer told anything.
// Not from the fault path.
void observe_faults(FaultObserver* observer);

inline void tell(FaultStep step, Range pages, bool write) noexcept {
#ifdef WEIR_HAVE_SDT
  // For perf, bpftrace and SystemTap: a nop until somebody attaches.
  DTRACE_PROBE4(weir, fault_step, static_cast<int>(step), write, pages.begin.value(), pages.size);
#endif
  FaultObserver* observer = fault_observer.load(std::memory_order_acquire);
  if (observer != nullptr) observer->on_fault_event({step, write, pages});
}

}  // namespace weir::observe
