// The part of weir_statistics that a heap's cycles add up to.
#pragma once

#include <weir/weir.h>

#include "runtime/observe/heap_statistics.hpp"

namespace weir::collector {

// All else in it is 0.
weir_statistics of_cycles(const observe::HeapStatistics& cycles);

}  // namespace weir::collector
