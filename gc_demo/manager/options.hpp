// What the command line asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "gc_demo/shared/exit_code.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::manager {

using demo::ExitCode;

struct Options {
  std::size_t clients = 8;
  std::size_t mib = 64;         // of each client
  std::string image;            // serve this heap image's pages; empty: pages that are made up
  std::size_t image_bytes = 0;  // of it
  std::uint64_t seed = 1;
  std::size_t rate = 200;          // MiB/s of the push; 0: no limit
  std::size_t touch_percent = 50;  // of its pages, that a client touches while they are pushed
  std::size_t idle_seconds = 1;    // at the end, in which the manager has nothing to do
  bool json = false;
  bool quiet = false;

  std::size_t bytes() const { return image.empty() ? mib << 20 : image_bytes; }
  std::size_t pages() const { return bytes() / os::page_size(); }
};

// An exit code: the program ends with it, and has printed what there was to say.
std::variant<Options, ExitCode> parse_options(int argc, char** argv);

}  // namespace weir::manager
