// The pages' states as a few lines of text: where each page's content is, and what a write to it
// would do.
#pragma once

#include <string>
#include <vector>

#include "gc_demo/cracauer/report.hpp"
#include "gc_demo/shared/terminal.hpp"

namespace weir::cracauer {

using demo::Style;
using demo::Terminal;

const char* name_of(Content content);
const char* name_of(Writes writes);

// At most 79 columns wide: of many pages, the first ones are shown.
std::vector<std::string> picture_of(const std::vector<PageState>& pages, const Terminal& terminal);

}  // namespace weir::cracauer
