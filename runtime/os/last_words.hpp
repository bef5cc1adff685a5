// Ends the process with one sentence, from anywhere: signal handlers and the fault path included.
#pragma once

#include <string_view>
#include <weir/address.hpp>

namespace weir::os {

// Writes "weir: <sentence> (at 0x...)" to standard error with one write(2), then aborts.
[[noreturn]] void last_words(const char* sentence, Address at = Address()) noexcept;
// The same line without the end.
void say(std::string_view sentence, Address at = Address()) noexcept;

}  // namespace weir::os
