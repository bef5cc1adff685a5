// The line of WEIR_LOG=gc: what a cycle was, for a person who follows a log. It needs no memory but
// the buffer it is given, and goes out by one write(2).
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/observe/cycle.hpp"
#include "runtime/os/text_buffer.hpp"

namespace weir::observe {

inline constexpr std::size_t kLongestCycleLine = 1280;

// Ends with a newline. `events_lost`: by the trace, in this cycle.
void format_cycle(os::TextBuffer& line, const CycleSummary& cycle, std::uint64_t events_lost);

// The same, to standard error.
void log_cycle(const CycleSummary& cycle, std::uint64_t events_lost);

}  // namespace weir::observe
