// The heap's blocks as lines of text: a cell for each block, or for a few where there are many.
#pragma once

#include <string>
#include <vector>
#include <weir/heap.hpp>

#include "gc_demo/shared/terminal.hpp"

namespace weir::heap_demo {

using demo::Style;
using demo::Terminal;

std::vector<weir_block> blocks_of(MutatorRef mutator);
// At most 79 columns wide and 20 lines high.
std::vector<std::string> picture_of(const std::vector<weir_block>& blocks,
                                    const weir_statistics& statistics, const Terminal& terminal);

}  // namespace weir::heap_demo
