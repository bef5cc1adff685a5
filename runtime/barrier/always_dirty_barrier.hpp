// always-dirty: everything that is armed counts as written. Always right, on any machine; the
// oracle for all others.
#pragma once

#include "runtime/barrier/barrier.hpp"

namespace weir::barrier {

class AlwaysDirtyBarrier final : public Barrier {
 public:
  AlwaysDirtyBarrier();
  ~AlwaysDirtyBarrier() override { detach_all(); }

 private:
  Expected<> begin(TrackedRange&) override { return {}; }
  void end(TrackedRange&) override {}
  Expected<> arm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> disarm_units(TrackedRange&, UnitSpan) override { return {}; }
  Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) override;
};

}  // namespace weir::barrier
