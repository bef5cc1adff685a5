// What the command line and the WEIR_* variables ask for.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <weir/barrier.hpp>

#include "gc_demo/shared/exit_code.hpp"
#include "runtime/image/codec.hpp"

namespace weir::cracauer {

// A name for a pair of barrier and delivery.
struct Mode {
  const char* name;
  BarrierKind barrier;
  Delivery delivery;  // of missing pages
  const char* summary;
};
inline constexpr Mode kModes[] = {
    {"thread", BarrierKind::uffd_thread, Delivery::thread,
     "a handler thread answers every fault, as in the original"},
    {"sigbus", BarrierKind::uffd_sigbus, Delivery::sigbus,
     "the faulting thread answers its own faults, in a SIGBUS handler"},
    {"async-thread", BarrierKind::async, Delivery::thread,
     "the kernel notes writes by itself; a handler thread fills"},
    {"async-sigbus", BarrierKind::async, Delivery::sigbus,
     "the kernel notes writes by itself; SIGBUS handlers fill"},
    {"mprotect", BarrierKind::mprotect, Delivery::thread,
     "SIGSEGV for writes, for comparison; a handler thread fills"},
};

struct Options {
  BarrierKind barrier = BarrierKind::uffd_thread;
  Delivery delivery = Delivery::thread;
  std::size_t pages = 8;
  image::Codec codec = image::Codec::zlib;
  bool json = false;
  bool quiet = false;
};
// "thread", ...; or "barrier mprotect, delivery sigbus" where the pair has no name.
std::string mode_name(const Options& options);

using demo::ExitCode;

// An exit code: the program ends with it, and has printed what there was to say.
std::variant<Options, ExitCode> parse_options(int argc, char** argv);

}  // namespace weir::cracauer
