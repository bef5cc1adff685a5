// An examination in words for a person, and as JSON for a program; docs/doctor.md has both.
#pragma once

#include <string>

#include "tools/support/console.hpp"
#include "tools/weir/doctor/examination.hpp"

namespace weir::doctor {

// The exit code, and what both reports end with.
enum class Verdict {
  precise = 0,               // `auto` takes a precise barrier
  precise_when_stopped = 1,  // only for programs that stop all writers
  imprecise = 3,             // every page counts as written
};
Verdict verdict_of(const Examination& found);

std::string to_text(const Examination& found, const support::Console& console);
std::string to_json(const Examination& found);

}  // namespace weir::doctor
