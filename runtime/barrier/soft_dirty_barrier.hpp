// soft-dirty: /proc/self/clear_refs arms, the soft-dirty bit of /proc/self/pagemap tells. Where the
// kernel has it (CONFIG_MEM_SOFT_DIRTY), and only with the writers stopped: reading and clearing
// are two steps, and a write between them would leave no trace.
//
// clear_refs acts on the whole process, so all barriers of this kind share one coordinator, which
// saves everybody's record before it clears.
#pragma once

#include <memory>

#include "runtime/barrier/barrier.hpp"

namespace weir::barrier {

class SoftDirtyBarrier final : public Barrier {
 public:
  static Expected<std::unique_ptr<Barrier>> open();
  ~SoftDirtyBarrier() override { detach_all(); }

 private:
  explicit SoftDirtyBarrier(const BarrierTraits& traits);
  Expected<> begin(TrackedRange& tracked) override;
  void end(TrackedRange& tracked) override;
  Expected<> arm_units(TrackedRange& tracked, UnitSpan span) override;
  Expected<> disarm_units(TrackedRange&, UnitSpan) override { return {}; }
  Expected<> take_units(TrackedRange& tracked, UnitSpan span, Then then) override;
  Expected<> recover() override;
};

}  // namespace weir::barrier
