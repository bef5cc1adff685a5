#include "tools/support/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace weir::support {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool is_dumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || std::strcmp(term, "dumb") == 0;
}

const char* code_of(Style style) {
  switch (style) {
    case Style::plain:
      return "0";
    case Style::faint:
      return "2";
    case Style::bold:
      return "1";
    case Style::red:
      return "1;31";
    case Style::green:
      return "32";
    case Style::yellow:
      return "33";
    case Style::blue:
      return "34";
    case Style::cyan:
      return "36";
  }
  return "0";
}

}  // namespace

bool is_terminal(int fd) {
  return ::isatty(fd) == 1 && !is_dumb();
}

Console::Console() : live_(is_terminal(STDOUT_FILENO)), colour_(live_ && !is_set("NO_COLOR")) {}

std::string Console::styled(Style style, std::string_view text) const {
  if (!colour_ || style == Style::plain) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code_of(style), text);
}

}  // namespace weir::support
