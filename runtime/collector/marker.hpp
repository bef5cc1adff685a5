// One marking thread's work: takes addresses from its stack, marks the objects they lie in, and
// puts what those refer to on the stack. The world is stopped, nothing is unswept.
//
// Before an address is looked at, its metadata and its first line are prefetched, and it waits in a
// short queue until they are there (Cher, Hosking, Vitek: Software prefetching for mark-sweep
// garbage collection, 2004).
#pragma once

#include <cstddef>

#include "runtime/collector/mark_work.hpp"
#include "runtime/collector/tracer.hpp"

namespace weir::collector {

class Ephemerons;

class Marker final : public Tracer<Marker> {
 public:
  // `ephemerons`: whose values are marked with their keys; nullptr: none are yet.
  Marker(const heap::Space& space, const WordFormat& format, MarkPool& pool,
         const Ephemerons* ephemerons);
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  void add(Address object) { edge(Address(), object); }  // null is ignored
  void edge(Address /*slot*/, Address target) {
    if (target != Address()) stack_.push(target.value());
  }
  void flush() { stack_.flush(); }  // everything to the pool, for others to take

  // Until there is nothing left anywhere: to be called by as many markers as are named.
  void run(unsigned markers);

  void set_ephemerons(const Ephemerons* ephemerons) { ephemerons_ = ephemerons; }
  std::size_t marked_bytes() const { return marked_bytes_; }
  std::size_t marked_objects() const { return marked_objects_; }

 private:
  static constexpr std::size_t kAhead = 8;         // addresses in the queue, a power of two
  static constexpr std::size_t kPart = 64 * 1024;  // of a large object that is traced at once

  void drain();
  void visit(Address address);
  void trace(const heap::Found& object, std::size_t from);

  const unsigned epoch_;
  MarkStack stack_;
  const Ephemerons* ephemerons_;
  std::size_t marked_bytes_ = 0;
  std::size_t marked_objects_ = 0;
};

}  // namespace weir::collector
