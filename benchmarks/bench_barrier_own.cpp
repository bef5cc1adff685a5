// Weir's barriers, through the interface that the collector uses.
#include <cstdio>

#include "benchmarks/protocol.hpp"
#include "runtime/barrier/selection.hpp"

namespace weir::bench {
namespace {

template <class T>
T value_or_give_up(Expected<T> got) {
  if (!got) give_up(got.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*got);
}

class OwnBarrier final : public Protocol {
 public:
  explicit OwnBarrier(std::unique_ptr<barrier::Barrier> barrier) : barrier_(std::move(barrier)) {}

  ~OwnBarrier() override {
    for (const BarrierRefusal& note : barrier_->notes())
      std::fprintf(stderr, "%s: %s\n", name_of(note.kind), note.why.message().c_str());
  }

  void attach(Range range) override {
    value_or_give_up(barrier_->attach(range));
    marks_ = value_or_give_up(marks_of(*barrier_, range));
  }
  void arm(Range part) override { value_or_give_up(barrier_->arm(part)); }
  std::size_t take(Range part) override {
    std::size_t bytes = 0;
    value_or_give_up(barrier_->take(
        part, [&](Range run) { bytes += run.size; }, barrier::Then::rearm));
    return bytes;
  }
  std::size_t traps() const override { return barrier_->counters().traps; }
  Marks marks() const override { return marks_; }

 private:
  std::unique_ptr<barrier::Barrier> barrier_;
  Marks marks_;
};

std::unique_ptr<Protocol> open(const std::string& name) {
  const auto kind = value_or_give_up(parse_barrier(name));
  return std::make_unique<OwnBarrier>(value_or_give_up(barrier::open_barrier(*kind)));
}

}  // namespace

std::vector<Contender> own_barriers() {
  std::vector<Contender> all;
  for (const BarrierKind kind : kBarrierKinds) {
    if (auto barrier = barrier::open_barrier(kind); barrier)
      all.push_back({name_of(kind), open});
    else
      std::fprintf(stderr, "not here: %s: %s\n", name_of(kind), barrier.error().message().c_str());
  }
  return all;
}

}  // namespace weir::bench
