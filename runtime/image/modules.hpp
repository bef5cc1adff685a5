// The program and the libraries that are loaded, by build id: what addresses of functions and
// static data in an image are relative to. Takes the loader's lock and allocates: not while a world
// is stopped.
#pragma once

#include <string>
#include <vector>
#include <weir/address.hpp>

namespace weir::image {

struct Module {
  Range range;           // from its lowest segment to the end of its highest
  std::string name;      // its file's
  std::string build_id;  // as bytes; empty: it was linked without one
};

std::vector<Module> loaded_modules();

}  // namespace weir::image
