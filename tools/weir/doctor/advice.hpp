// What to change for more: only what is missing here, and only ways that would work here.
#pragma once

#include <string>
#include <vector>

#include "tools/weir/doctor/examination.hpp"

namespace weir::doctor {

struct Way {
  std::string what;
  std::string command;  // to be typed, or put where `what` says; may be empty
};

struct Advice {
  std::string id;  // stable, for programs
  std::string gain;
  std::vector<Way> ways;  // any of them will do
};

std::vector<Advice> advice_for(const Examination& found);

}  // namespace weir::doctor
