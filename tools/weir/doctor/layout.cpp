#include "tools/weir/doctor/layout.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weir::doctor {
namespace {

using support::Style;

constexpr std::size_t kWidth = 96;
constexpr std::size_t kTextColumn = 25;

std::string_view word_of(Mark mark) {
  return mark == Mark::ok ? "ok" : mark == Mark::no ? "no" : "";
}

Style style_of(Mark mark) {
  return mark == Mark::ok ? Style::green : mark == Mark::no ? Style::red : Style::plain;
}

}  // namespace

void Layout::heading(std::string_view text) {
  text_ += fmt::format("\n{}\n", console_.styled(Style::bold, text));
}

// The padding is outside the colour, which has no width.
void Layout::row(Mark mark, std::string_view name, std::string_view text,
                 std::string_view columns) {
  const std::string_view word = word_of(mark);
  text_ += fmt::format("  {}{:{}}{:<{}}{}", console_.styled(style_of(mark), word), "",
                       4 - word.size(), name, kTextColumn - 6, columns);
  wrapped(kTextColumn + columns.size(), text);
}

void Layout::detail(std::string_view text) {
  text_.append(kTextColumn, ' ');
  wrapped(kTextColumn, text);
}

void Layout::paragraph(std::size_t indent, std::string_view first, std::string_view text) {
  text_.append(indent, ' ').append(first);
  wrapped(indent + first.size(), text);
}

void Layout::line(std::string_view text) {
  text_.append(text).append("\n");
}

// The cursor is at `indent`; a word that is longer than a line stays whole.
void Layout::wrapped(std::size_t indent, std::string_view text) {
  std::size_t column = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (column > indent && column + 1 + word.size() > kWidth) {
      text_.append("\n").append(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      text_ += ' ';
      ++column;
    }
    text_ += word;
    column += word.size();
  }
  text_ += '\n';
}

}  // namespace weir::doctor
