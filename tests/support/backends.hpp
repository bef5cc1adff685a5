// Every barrier of this machine through the same test: the contract is one, so the suite is one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/barrier/barrier.hpp"
#include "runtime/barrier/selection.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::test {

// A barrier as it can be configured.
struct Backend {
  BarrierKind kind;
  std::optional<Delivery> delivery;
  bool user_mode_only = false;

  std::string name() const;
  // nullptr where this machine does not have it; the reason is printed.
  std::unique_ptr<barrier::Barrier> open() const;
};

// All of them; WEIR_TEST_BACKEND=name restricts a run to one.
std::vector<Backend> backends();

// Runs `body` for each back-end that this machine has, and fails when there is none.
void for_each_backend(const std::function<void(barrier::Barrier&)>& body);

// Does what the barrier's user does: store, then report it where the barrier wants to be told.
template <class T>
void store(barrier::Barrier& barrier, T* where, T value) {
  *static_cast<volatile T*>(where) = value;
  if (barrier.traits().needs_calls) barrier.record(Range::of(where, sizeof(T)));
}

// The pages of `range` that one take reports, by index; or what else has `unit` bytes.
using PageSet = std::set<std::size_t>;
PageSet take_pages(barrier::Barrier& barrier, Range range,
                   barrier::Then then = barrier::Then::rearm, std::size_t unit = os::page_size());

// What a take must and may report. `exactly` for barriers that are exact, at least for the others.
bool reports(barrier::Barrier& barrier, const PageSet& reported, const PageSet& written);

}  // namespace weir::test
