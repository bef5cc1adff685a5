// The report as one JSON document. docs/cracauer.md lists its members.
#pragma once

#include <string>

#include "gc_demo/cracauer/report.hpp"

namespace weir::cracauer {

std::string to_json(const Report& report);

}  // namespace weir::cracauer
