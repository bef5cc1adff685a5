#include "gc_demo/shared/terminal.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

namespace weir::demo {

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
  if (console_.is_live() || picture_ == shown_) return false;
  shown_ = picture_;
  fmt::print("\n");
  for (const std::string& line : picture_) fmt::print("{}\n", line);
  fmt::print("\n");
  return true;
}

void Terminal::drop_picture() {
  if (console_.is_live() && drawn_) fmt::print("\n");
  drawn_ = false;
  picture_.clear();
}

void Terminal::pause() const {
  std::fflush(stdout);
  if (console_.is_live()) std::this_thread::sleep_for(std::chrono::milliseconds(60));
}

void Terminal::erase() {
  if (!console_.is_live() || !drawn_) return;
  fmt::print("\x1b[{}A\x1b[J", picture_.size() + 1);
  drawn_ = false;
}

void Terminal::draw() {
  if (!console_.is_live() || picture_.empty()) return;
  fmt::print("\n\x1b[?7l");  // a line that does not fit is cut, not wrapped
  for (const std::string& line : picture_) fmt::print("{}\n", line);
  fmt::print("\x1b[?7h");
  std::fflush(stdout);
  drawn_ = true;
}

}  // namespace weir::demo
