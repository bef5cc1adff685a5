// A heap's configuration: what the embedder asked for, what the environment says, checked.
#pragma once

#include <weir/weir.h>

#include <cstring>
#include <weir/error.hpp>

namespace weir::collector {

// What a C program stored in an enumeration, which may be none of its values: not to be loaded as
// one before it is checked.
template <class Enum>
unsigned stored_value(const Enum& field) {
  static_assert(sizeof(Enum) == sizeof(unsigned));
  unsigned value;
  std::memcpy(&value, &field, sizeof value);
  return value;
}

weir_config default_config();
weir_mutator_config default_mutator_config();  // polls; conservative stack
// `config` with WEIR_VERIFY, WEIR_STRESS and WEIR_DETERMINISTIC in force. Errors: invalid_argument.
Expected<weir_config> checked_config(const weir_config& config);
Expected<> check_limits(std::size_t minimum_bytes, std::size_t maximum_bytes);

}  // namespace weir::collector
