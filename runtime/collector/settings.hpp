// A heap's configuration: what the embedder asked for, what the environment says, checked.
#pragma once

#include <weir/weir.h>

#include <weir/error.hpp>

namespace weir::collector {

weir_config default_config();
// `config` with WEIR_VERIFY, WEIR_STRESS and WEIR_DETERMINISTIC in force. Errors: invalid_argument.
Expected<weir_config> checked_config(const weir_config& config);
Expected<> check_limits(std::size_t minimum_bytes, std::size_t maximum_bytes);

}  // namespace weir::collector
