// The WEIR_* environment variables: one table, from which the README's is checked and the doctor's
// is printed. Any thread, as far as nobody changes the environment meanwhile. Not for the fault
// path.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <weir/error.hpp>

namespace weir::os {

enum class Variable { barrier, delivery, off_heap, seed, test_tier };

struct VariableInfo {
  Variable variable;
  const char* name;
  std::span<const std::string_view> allowed;  // empty: a number
  std::string_view fallback;                  // what holds when it is unset or empty
  std::string_view meaning;
};

// All of them, in the order of the enumeration.
std::span<const VariableInfo> environment_variables();

// What the variable is set to; nullopt when unset or empty. A value that is not allowed is an error
// that names the allowed ones.
Expected<std::optional<std::string_view>> environment(Variable variable);

}  // namespace weir::os
