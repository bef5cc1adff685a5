// After each collection in verify mode: a second, independent trace, and every table against the
// heap; after a minor one also all that an always-dirty barrier would have led to. What is wrong
// ends the process, with a sentence that names parent, slot and object, and the state of the page.
#pragma once

#include <cstddef>

#include "runtime/collector/scope.hpp"

namespace weir::collector {

class Heap;

// Everything is marked, the dead are not taken out yet. `marked`: objects that this cycle marked.
void verify(Heap& heap, Scope scope, std::size_t marked);

}  // namespace weir::collector
