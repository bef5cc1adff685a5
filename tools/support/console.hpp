// Standard output as a person sees it: colours where it is a terminal, none where it is not or
// where NO_COLOR says so.
#pragma once

#include <string>
#include <string_view>

namespace weir::support {

enum class Style { plain, faint, bold, red, green, yellow, blue, cyan };

bool is_terminal(int fd);  // that understands escape sequences

class Console {
 public:
  Console();

  bool is_live() const { return live_; }  // it is a terminal
  std::string styled(Style style, std::string_view text) const;

 private:
  bool live_;
  bool colour_;
};

}  // namespace weir::support
