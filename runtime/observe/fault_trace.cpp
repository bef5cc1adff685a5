#include "runtime/observe/fault_trace.hpp"

#include "runtime/os/fault_gate.hpp"

namespace weir::observe {

void observe_faults(FaultObserver* observer) {
  os::FaultGate::Changing change;
  change.commit();  // nobody is in the midst of telling
  fault_observer.store(observer, std::memory_order_release);
}

}  // namespace weir::observe
