// Standard output, redrawn in place where it is a terminal; plain lines where it is not. The main
// thread's alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/support/console.hpp"

namespace weir::demo {

using support::Style;

class Terminal {
 public:
  bool is_live() const { return console_.is_live(); }  // redraws in place
  std::string styled(Style style, std::string_view text) const {
    return console_.styled(style, text);
  }

  void line(std::string_view text);
  // Keeps these lines at the bottom: on a terminal they are redrawn in place, below all that is
  // printed; elsewhere they are printed when they have changed.
  void set_picture(std::vector<std::string> lines);
  // Elsewhere than on a terminal: prints the picture if it has changed since it was printed last.
  // Returns whether it did.
  bool show_picture();
  // The picture stays where it is, and is history.
  void drop_picture();
  // So that an eye can follow; nothing when nobody watches.
  void pause() const;

 private:
  void erase();
  void draw();

  support::Console console_;
  std::vector<std::string> picture_;
  std::vector<std::string> shown_;
  bool drawn_ = false;
};

}  // namespace weir::demo
