// What a cycle looks at: a minor one at what was made since the last cycle, a full one at everything.
#pragma once

namespace weir::collector {

enum class Scope { young, all };

}  // namespace weir::collector
