// Standard output as a person sees it: colours where it is a terminal, none where it is not or
// where NO_COLOR says so.
#pragma once

#include <string>
#include <string_view>

namespace weir::support {

enum class Style { plain, faint, bold, red, green, yellow, blue, cyan };

class Console {
 public:
  Console();

  bool is_live() const { return live_; }  // a terminal that understands escape sequences
  std::string styled(Style style, std::string_view text) const;

 private:
  bool live_;
  bool colour_;
};

}  // namespace weir::support
