#include "gc_demo/cracauer/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

namespace weir::cracauer {
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

Terminal::Terminal()
    : live_(::isatty(STDOUT_FILENO) == 1 && !is_dumb()), colour_(live_ && !is_set("NO_COLOR")) {}

std::string Terminal::styled(Style style, std::string_view text) const {
  if (!colour_ || style == Style::plain) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code_of(style), text);
}

void Terminal::line(std::string_view text) {
  erase();
  fmt::print("{}\n", text);
  draw();
}

void Terminal::set_picture(std::vector<std::string> lines) {
  erase();
  picture_ = std::move(lines);
  draw();
}

bool Terminal::show_picture() {
  if (live_ || picture_ == shown_) return false;
  shown_ = picture_;
  fmt::print("\n");
  for (const std::string& line : picture_) fmt::print("{}\n", line);
  fmt::print("\n");
  return true;
}

void Terminal::drop_picture() {
  if (live_ && drawn_) fmt::print("\n");
  drawn_ = false;
  picture_.clear();
}

void Terminal::pause() const {
  std::fflush(stdout);
  if (live_) std::this_thread::sleep_for(std::chrono::milliseconds(60));
}

void Terminal::erase() {
  if (!live_ || !drawn_) return;
  fmt::print("\x1b[{}A\x1b[J", picture_.size() + 1);
  drawn_ = false;
}

void Terminal::draw() {
  if (!live_ || picture_.empty()) return;
  fmt::print("\n\x1b[?7l");  // a line that does not fit is cut, not wrapped
  for (const std::string& line : picture_) fmt::print("{}\n", line);
  fmt::print("\x1b[?7h");
  std::fflush(stdout);
  drawn_ = true;
}

}  // namespace weir::cracauer
