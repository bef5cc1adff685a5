// After each collection in verify mode: a second, independent trace, and every table against the
// heap. What is wrong ends the process, with a sentence that names parent, slot and object.
#pragma once

#include <cstddef>

namespace weir::collector {

class Heap;

// Everything is marked, the dead are not taken out yet. `marked`: objects that were.
void verify(Heap& heap, std::size_t marked);

}  // namespace weir::collector
