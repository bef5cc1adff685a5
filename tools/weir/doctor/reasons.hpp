// Why a way to open a userfaultfd was refused, from the errno and what else was found: the same
// EPERM comes from the kernel and from a sandbox.
#pragma once

#include <string>

#include "tools/weir/doctor/examination.hpp"

namespace weir::doctor {

// A sandbox answers in place of userfaultfd(2).
bool is_filtered(const Examination& found);
// The kernel keeps full descriptors from unprivileged users, and this is one.
bool lacks_privilege(const Examination& found);
// Nothing shows that the kernel has userfaultfd.
bool is_absent(const Examination& found);

std::string reason_for(const UffdRefusal& rung, const Examination& found);

// The error in short: without its advice, which the doctor gives in its own place, and without what
// was being done where the detail says it all.
std::string reason_for(const Error& error);

}  // namespace weir::doctor
