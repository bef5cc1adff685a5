// Where missing pages come from: an image, a file, another process's memory, or zeros.
//
// Offsets count from the start of the range that was given to the server, whatever mremap(2) did to
// it since. Implementations are called from the handler thread or from any faulting thread, several
// at once, the fault gate held shared: they do not allocate, take no lock that a mutator may hold
// while it touches watched memory, and touch no served memory themselves [quiet-server].
#pragma once

#include <cstddef>

#include "runtime/faults/page_filler.hpp"
#include "runtime/faults/write_fault_handler.hpp"

namespace weir::faults {

// A source may go once release() of its range has returned, or departed() was called, or its server
// has gone; a munmap(2) that the server followed by an event is not enough.
class PageSource {
 public:
  virtual ~PageSource() = default;

  // Brings at least the page at `offset` in, through `filler`, and returns its outcome.
  virtual UffdOutcome fill(std::size_t offset, PageFiller& filler) noexcept = 0;
  // True once the page has been brought in. Asked with SIGBUS delivery, where nobody says whether a
  // fault is a missing page or a protected one, and at the range's release. A source that never
  // says true costs a fill in vain there, no more; one that says so too early shows zeros, since
  // such a page that is missing with SIGBUS was given back, and removed() is called for it.
  virtual bool is_filled(std::size_t offset) const noexcept = 0;
  // The program gave the memory back (MADV_DONTNEED, MADV_REMOVE): from now on it reads as zeros.
  virtual void removed(std::size_t offset, std::size_t bytes) noexcept = 0;
  // An answer takes so long that other threads are worth waking for the next ones: fill() is called
  // by several then, whatever the delivery.
  virtual bool is_slow() const noexcept { return false; }
  // The source for the same range in a child of the process it serves. nullptr: the child's pages
  // are not served (they read as zeros). `this` only where removed() changes nothing: what one of
  // the two gives back, the other still has.
  virtual PageSource* for_child() noexcept { return this; }

  // Ahead of demand: brings in a few of the pages in [offset, offset + bytes) that nobody has asked
  // for. `done` with nothing counted by the filler: nothing is left there to bring. Called by the
  // handler thread, between answers: how much it brings at once is how long a fault may wait for
  // it.
  virtual UffdOutcome push(std::size_t offset, std::size_t bytes, PageFiller& filler) noexcept;
  // The program unmapped it (told by an event): nobody will ask for it again.
  virtual void unmapped(std::size_t offset, std::size_t bytes) noexcept;
  // The other process that it served is gone: this source is not called again, and may go.
  virtual void departed() noexcept {}
};

inline UffdOutcome PageSource::push(std::size_t, std::size_t, PageFiller&) noexcept {
  return UffdOutcome::done;
}
inline void PageSource::unmapped(std::size_t, std::size_t) noexcept {}

}  // namespace weir::faults
