// The WEIR_* environment variables: one table, from which the README's is checked and the doctor's
// is printed. Any thread, as far as nobody changes the environment meanwhile. Not for the fault
// path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <weir/error.hpp>

namespace weir::os {

enum class Variable {
  barrier,
  delivery,
  arena,
  off_heap,
  stop_signal,
  log,
  trace,
  verify,
  stress,
  generations,
  deterministic,
  seed,
  test_tier
};

enum class ValueKind : std::uint8_t {
  one_of,   // one of the allowed names
  list_of,  // one or more of them, separated by commas
  number,
  path
};

struct VariableInfo {
  Variable variable;
  const char* name;
  ValueKind kind;
  std::span<const std::string_view> allowed;  // one_of, list_of
  std::string_view fallback;                  // what holds when it is unset or empty
  std::string_view meaning;
};

// All of them, in the order of the enumeration.
std::span<const VariableInfo> environment_variables();

// What the variable is set to; nullopt when unset or empty. A value that is not allowed is an error
// that names the allowed ones.
Expected<std::optional<std::string_view>> environment(Variable variable);

// Whether `name` is in a list separated by commas.
bool list_has(std::string_view list, std::string_view name);

}  // namespace weir::os
