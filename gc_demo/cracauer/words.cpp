#include <fmt/format.h>

#include "gc_demo/cracauer/narrator.hpp"

namespace weir::cracauer {
namespace {

// How the fault came to us: as a message with flags, or as a signal that has none.
std::string arrival(const LogEntry& entry, const Options& options) {
  const bool armed = entry.step == Step::armed_write;
  const auto address = entry.pages.begin.value();
  if (armed && options.barrier == BarrierKind::mprotect)
    return fmt::format("SIGSEGV in page {:#x}, by a write", address);
  if (options.delivery == Delivery::sigbus)
    return fmt::format("SIGBUS in page {:#x}, by a {}", address, entry.write ? "write" : "read");
  const char* flags = armed ? "WRITE|WP" : entry.write ? "WRITE" : "none";
  return fmt::format("fault at {:#x}, flags {}", address, flags);
}

std::string words_at_the_end(const Touch& touch, const Event& event) {
  const bool no_fault = touch.events.size() == 2 && !touch.noted_by_kernel;
  return fmt::format("goes on{}: {} {:#x}", no_fault ? ", no fault" : "",
                     touch.write ? "wrote" : "read", event.entry.value);
}

}  // namespace

std::string words_for(const Touch& touch, const Event& event, const Options& options) {
  const LogEntry& entry = event.entry;
  switch (entry.step) {
    case Step::touch:
      return entry.write ? "writes the first word" : "reads the first word";
    case Step::missing:
      return arrival(entry, options) + ": missing";
    case Step::armed_write:
      return arrival(entry, options) + ": armed";
    case Step::inflated:
      return options.codec == image::Codec::none
                 ? fmt::format("reads {} bytes from disk", entry.bytes)
                 : fmt::format("reads {} bytes from disk, inflates them to {}", entry.bytes,
                               entry.pages.size);
    case Step::filled:
      return "COPY: in memory, writable";
    case Step::filled_armed:
      return "COPY with WP: in memory, armed";
    case Step::recorded:
      return fmt::format("records page {} as dirty", event.page);
    case Step::unprotecting:
      return fmt::format("un-protects page {}, and no other", event.page);
    case Step::went_on:
      return words_at_the_end(touch, event);
  }
  return "";
}

}  // namespace weir::cracauer
