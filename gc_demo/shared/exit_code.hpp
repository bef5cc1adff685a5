// How the demos end; what there was to say has been printed by then.
#pragma once

namespace weir::demo {

enum class ExitCode { ok = 0, differs = 1, usage = 2, not_here = 3 };

}  // namespace weir::demo
