#include "tools/support/progress_bar.hpp"

#include <unistd.h>

#include "runtime/os/text_buffer.hpp"
#include "tools/support/console.hpp"

namespace weir::support {

ProgressBar::ProgressBar() : is_live_(is_terminal(STDERR_FILENO)) {}

ProgressBar::~ProgressBar() {
  show(1, 1);
}

void ProgressBar::show(std::uint64_t done, std::uint64_t all) {
  const auto percent = static_cast<unsigned>(all == 0 ? 100 : done * 100 / all);
  if (!is_live_ || percent == shown_) return;
  shown_ = percent;
  char memory[80];
  os::TextBuffer line(memory);
  line.add("\r\x1b[K");
  if (done < all) {
    constexpr unsigned kWidth = 40;
    line.add('[');
    for (unsigned i = 0; i < kWidth; ++i) line.add(i * 100 < percent * kWidth ? '#' : '.');
    line.add("] ").add_number(percent).add(" %");
  }
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, memory, line.size());
}

}  // namespace weir::support
