// The outcome of a call of weir.h, as the C++ API returns it.
#pragma once

#include <weir/weir.h>

#include <weir/error.hpp>

namespace weir {

// Why the calling thread's last call of weir.h that failed did so: what weir_error_message() says,
// as a value.
Error last_failure();

inline Expected<> checked(weir_status status) {
  if (status != WEIR_OK) return Unexpected(last_failure());
  return {};
}

}  // namespace weir
