// What is timed of a first-write benchmark: threads that each store one byte into pages of theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>
#include <weir/address.hpp>

#include "benchmarks/marks.hpp"

namespace weir::bench {

enum class Order { sequential, random };

// One page out of each `one_in` neighbours, by chance but the same in every run; as offsets into
// the range, of one byte each. In a page it is not always the same cache set that is hit.
std::vector<std::size_t> bytes_to_write(std::size_t bytes, std::size_t one_in, Order order);

struct PhaseCost {
  double wall_ns = 0;
  double cpu_ns = 0;  // of all threads of the process
  double faults = 0;  // that the kernel resolved; those handed to user space are the protocol's
};

// Runs from the first store to the last; the threads are there before it starts. `threads` == 1:
// in the calling thread.
PhaseCost write_all(Range memory, const std::vector<std::size_t>& bytes, std::size_t threads,
                    Marks marks);

double median(std::vector<double> values);  // not empty

// Times anything the same way.
class PhaseClock {
 public:
  PhaseClock();
  PhaseCost elapsed() const;

 private:
  PhaseCost start_;
};

}  // namespace weir::bench
