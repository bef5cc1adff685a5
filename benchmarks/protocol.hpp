// A write barrier as bench_barrier drives it: one of Weir's, or the same protocol in bare system
// calls. One thread calls it; the stores come from any, and mark() follows each where it is wanted.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>
#include <weir/address.hpp>

#include "benchmarks/marks.hpp"

namespace weir::bench {

class Protocol {
 public:
  // Detaches.
  virtual ~Protocol() = default;

  // Once, and then arm() what is to be armed of it: whole pages, unarmed so far.
  virtual void attach(Range range) = 0;
  virtual void arm(Range part) = 0;
  // Finds the armed pages that were written, arms them again, and returns how many bytes they are.
  virtual std::size_t take(Range part) = 0;

  // Faults that were handed to user space so far; the kernel counts its own.
  virtual std::size_t traps() const = 0;

  virtual Marks marks() const { return {}; }
};

struct Contender {
  std::string name;  // "async", "raw/..." is put before it elsewhere
  std::unique_ptr<Protocol> (*open)(const std::string& name);
};

// All that open on this machine; why others do not is printed to stderr.
std::vector<Contender> own_barriers();
std::vector<Contender> raw_protocols();

// What failed is a broken measurement: says so, and ends the program.
[[noreturn]] void give_up(const std::string& what);

}  // namespace weir::bench
