// Lines of at most 96 columns: a mark, a name, and a text that goes on in its own column.
#pragma once

#include <string>
#include <string_view>

#include "tools/support/console.hpp"

namespace weir::doctor {

enum class Mark { none, ok, no };

class Layout {
 public:
  explicit Layout(const support::Console& console) : console_(console) {}

  void heading(std::string_view text);
  // `columns` is of a fixed width, ahead of the text.
  void row(Mark mark, std::string_view name, std::string_view text, std::string_view columns = "");
  void detail(std::string_view text);  // under a row, in its text's column
  void paragraph(std::size_t indent, std::string_view first, std::string_view text);
  void line(std::string_view text = "");

  std::string take() { return std::move(text_); }

 private:
  void wrapped(std::size_t indent, std::string_view text);

  const support::Console& console_;
  std::string text_;
};

}  // namespace weir::doctor
