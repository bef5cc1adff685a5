// The whole state of the interpreter in a file, and again from there.
#pragma once

#include <mruby.h>

#include <string>
#include <weir/error.hpp>

namespace weir::mruby {

// After a program has run. What cannot be saved, open files, is named in the error.
Expected<> save_image(mrb_state* mrb, const std::string& path);
// In the place of mrb_open(): what is touched of it is read when it is.
Expected<mrb_state*> open_image(const std::string& path);

}  // namespace weir::mruby
