// What a cycle looks at: a minor one at what was made since the last cycle, a full one at
// everything.
//
// Of the tables beside the heap (weak cells, ephemerons, finalizers, held objects) the young
// entries are enough for a minor cycle [o-dirty]. What an entry refers to never changes, and an
// object that survived a cycle is old and stays marked until the next full one; so all that old
// entries refer to is marked throughout a minor cycle, and nothing about them can change.
#pragma once

namespace weir::collector {

enum class Scope { young, all };

}  // namespace weir::collector
