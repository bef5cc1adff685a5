// The cost model of the arming policy, apart from the policy: what a trace costs a given policy,
// what it costs at least (dynamic programming with the whole trace known), and the exact worst
// case over all traces (a search for cycles in the product of the policy and the optimum).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "runtime/barrier/arming_policy.hpp"

namespace weir::test {

using barrier::ArmingCosts;
using barrier::ArmingLimits;
using barrier::ArmingPolicy;
using barrier::PageIndex;
using barrier::PageVerdict;

// What the program did to a page in one cycle. A hot scan cannot tell `silent` from `none`.
enum class Write : std::uint8_t { none, silent, young };
using Trace = std::vector<Write>;

enum class Arming { armed, hot };

// The least that any policy with knowledge of the future pays; costs[t] holds in cycle t.
inline double offline_optimum(const Trace& trace, std::span<const ArmingCosts> costs) {
  constexpr double kNever = 1e300;
  double armed = 0, hot = kNever;
  for (std::size_t t = 0; t < trace.size(); ++t) {
    const ArmingCosts& c = costs[t];
    const bool written = trace[t] != Write::none;
    const double scanned = std::min(hot + c.scan, written ? armed + c.trap + c.scan : kNever);
    armed = std::min(written ? kNever : armed, scanned + c.rearm);
    hot = scanned;
  }
  return std::min(armed, hot);
}

inline double offline_optimum(const Trace& trace, const ArmingCosts& costs) {
  return offline_optimum(trace, std::vector<ArmingCosts>(trace.size(), costs));
}

// One page under a policy; `Decide` has next_cycle(costs), dirty() and hot(found_young).
template <class Decide>
class Page {
 public:
  explicit Page(Decide& decide) : decide_(decide) {}

  void cycle(Write write, const ArmingCosts& costs) {
    decide_.next_cycle(costs);
    if (state_ == Arming::armed && write == Write::none) return;
    if (state_ == Arming::armed) cost_ += costs.trap;
    cost_ += costs.scan;
    const PageVerdict verdict =
        state_ == Arming::armed ? decide_.dirty() : decide_.hot(write == Write::young);
    if (verdict == PageVerdict::rearm) cost_ += costs.rearm;
    state_ = verdict == PageVerdict::rearm ? Arming::armed : Arming::hot;
  }
  Arming state() const { return state_; }
  double cost() const { return cost_; }

 private:
  Decide& decide_;
  Arming state_ = Arming::armed;
  double cost_ = 0;
};

// The policy under test, for one page.
class Tested {
 public:
  explicit Tested(const ArmingCosts& costs) : policy_(table_, costs) {}
  void next_cycle(const ArmingCosts& costs) { policy_.begin_cycle(costs); }
  PageVerdict dirty() { return policy_.after_dirty_scan(PageIndex{0}); }
  PageVerdict hot(bool found_young) { return policy_.after_hot_scan(PageIndex{0}, found_young); }

 private:
  std::array<std::uint8_t, 1> table_{};
  ArmingPolicy policy_;
};

struct AlwaysArmed {
  explicit AlwaysArmed(const ArmingCosts&) {}
  void next_cycle(const ArmingCosts&) {}
  PageVerdict dirty() { return PageVerdict::rearm; }
  PageVerdict hot(bool) { return PageVerdict::rearm; }
};

struct AlwaysHot {
  explicit AlwaysHot(const ArmingCosts&) {}
  void next_cycle(const ArmingCosts&) {}
  PageVerdict dirty() { return PageVerdict::keep_hot; }
  PageVerdict hot(bool) { return PageVerdict::keep_hot; }
};

// Doubles the number of quiet scans whenever the page was armed in vain.
struct DoublingWithoutLimit {
  explicit DoublingWithoutLimit(const ArmingCosts&) {}
  void next_cycle(const ArmingCosts&) {}
  PageVerdict dirty() {
    quiet = 0;
    limit *= 2;
    return PageVerdict::keep_hot;
  }
  PageVerdict hot(bool found_young) {
    quiet = found_young ? 0 : quiet + 1;
    return quiet < limit ? PageVerdict::keep_hot : PageVerdict::rearm;
  }
  unsigned quiet = 0, limit = 1;
};

template <class Decide>
double cost_of(const Trace& trace, std::span<const ArmingCosts> costs) {
  Decide decide(costs.front());
  Page page(decide);
  for (std::size_t t = 0; t < trace.size(); ++t) page.cycle(trace[t], costs[t]);
  return page.cost();
}

template <class Decide = Tested>
double cost_of(const Trace& trace, const ArmingCosts& costs) {
  return cost_of<Decide>(trace, std::vector<ArmingCosts>(trace.size(), costs));
}

// All that the policy can do to one page under constant costs, as a graph: every state that it can
// reach, times the state of an optimum that knows the future. An edge is one cycle.
class WorstCase {
 public:
  // The policy is told `believed`, and pays `real`.
  WorstCase(const ArmingCosts& believed, const ArmingCosts& real) : real_(real) {
    explore(believed);
  }
  explicit WorstCase(const ArmingCosts& costs) : WorstCase(costs, costs) {}

  // The least c with cost <= ratio * optimum + c for every prefix of every trace, in nanoseconds;
  // nullopt if there is none.
  std::optional<double> additive_constant(double ratio) const {
    std::vector<double> most(node_count(), kUnreached);
    std::vector<unsigned> path(node_count(), 0);
    std::vector<bool> queued(node_count(), false);
    std::deque<std::uint32_t> queue{0};
    most[0] = 0;
    double greatest = 0;
    while (!queue.empty()) {
      const std::uint32_t from = queue.front();
      queue.pop_front();
      queued[from] = false;
      for (const Edge& e : edges_[from]) {
        const double through = most[from] + e.online - ratio * e.optimum;
        if (through <= most[e.to] + 1e-6) continue;
        most[e.to] = through;
        greatest = std::max(greatest, through);
        path[e.to] = path[from] + 1;
        if (path[e.to] > node_count()) return std::nullopt;  // a cycle that gains
        if (!queued[e.to]) queue.push_back(e.to);
        queued[e.to] = true;
      }
    }
    return greatest;
  }

  // The least ratio for which there is a constant, to `precision`; `limit` if none below it.
  double ratio(double limit = 6, double precision = 0.01) const {
    double low = 1, high = limit;
    while (high - low > precision) {
      const double middle = (low + high) / 2;
      (additive_constant(middle) ? high : low) = middle;
    }
    return high;
  }

  std::size_t node_count() const { return edges_.size(); }

 private:
  static constexpr double kUnreached = -1e300;
  static constexpr unsigned kPhases = 32;  // the policy's clock repeats after so many cycles

  struct Edge {
    std::uint32_t to;
    double online, optimum;
  };
  // A node: the policy's byte, its clock, and the two states.
  struct Node {
    std::uint8_t byte;
    unsigned phase;
    Arming online, optimum;
    std::size_t key() const {
      return ((std::size_t{byte} * kPhases + phase) * 2 + (online == Arming::hot)) * 2 +
             (optimum == Arming::hot);
    }
  };

  std::uint32_t number_of(const Node& node) {
    std::uint32_t& number = numbers_[node.key()];
    if (number == 0) {
      nodes_.push_back(node);
      edges_.emplace_back();
      number = static_cast<std::uint32_t>(nodes_.size());
    }
    return number - 1;
  }

  void explore(const ArmingCosts& believed) {
    numbers_.assign(std::size_t{256} * kPhases * 4, 0);
    std::array<std::uint8_t, 1> table{};
    std::deque<ArmingPolicy> at_phase;
    for (unsigned phase = 0; phase < kPhases; ++phase) {
      at_phase.emplace_back(table, believed);
      for (unsigned i = 0; i < phase; ++i) at_phase.back().begin_cycle(believed);
    }
    number_of(Node{0, 0, Arming::armed, Arming::armed});
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (const Write write : {Write::none, Write::silent, Write::young}) {
        const Node from = nodes_[i];
        Node to = from;
        to.phase = (from.phase + 1) % kPhases;
        double online = 0;
        if (from.online == Arming::hot || write != Write::none) {
          table[0] = from.byte;
          ArmingPolicy& policy = at_phase[to.phase];
          const bool armed = from.online == Arming::armed;
          const PageVerdict verdict =
              armed ? policy.after_dirty_scan(PageIndex{0})
                    : policy.after_hot_scan(PageIndex{0}, write == Write::young);
          to.byte = table[0];
          to.online = verdict == PageVerdict::rearm ? Arming::armed : Arming::hot;
          online = real_.scan + (armed ? real_.trap : 0) +
                   (verdict == PageVerdict::rearm ? real_.rearm : 0);
        }
        for (const Arming next : {Arming::armed, Arming::hot}) {
          const bool rests = from.optimum == Arming::armed && write == Write::none;
          if (rests && next == Arming::hot) continue;
          double optimum = 0;
          if (!rests) {
            optimum = real_.scan + (from.optimum == Arming::armed ? real_.trap : 0) +
                      (next == Arming::armed ? real_.rearm : 0);
          }
          to.optimum = next;
          const std::uint32_t target = number_of(to);
          edges_[i].push_back({target, online, optimum});
        }
      }
    }
  }

  ArmingCosts real_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::vector<Edge>> edges_;
};

}  // namespace weir::test
