// One marking thread's work: takes addresses from its stack, marks the objects they lie in, and
// puts what those refer to on the stack. The world is stopped. In a full cycle nothing is unswept;
// in a minor one whatever lies in an old block is marked, and an edge there leads nowhere.
//
// Before an address is looked at, its metadata and its first line are prefetched, and it waits in a
// short queue until they are there (Cher, Hosking, Vitek: Software prefetching for mark-sweep
// garbage collection, 2004).
#pragma once

#include <cstddef>

#include "runtime/collector/mark_work.hpp"
#include "runtime/collector/scope.hpp"
#include "runtime/collector/tracer.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class Ephemerons;

class Marker final : public Tracer<Marker> {
 public:
  // rough: two markers that come to an object at once may both trace and count it, which costs less
  // than the exclusive access to its metadata that would prevent it.
  enum class Counting { rough, exact };
  // `ephemerons`: whose values are marked with their keys; nullptr: none are yet.
  Marker(const heap::Space& space, const WordFormat& format, MarkPool& pool, Scope scope,
         Counting counting, const Ephemerons* ephemerons);
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  void add(Address object) {  // null is ignored, and so are objects of images
    if (space_.region().contains(object)) edge(Address(), object);
  }
  void edge(Address /*slot*/, Address target) {
    if (scope_ == Scope::young) {
      if (!may_be_young(space_.region().block_table().of(target), target)) return;
      ++edges_to_young_;
    }
    stack_.push(target.value());
  }
  // Most of what a heap full of conservative objects has. The object is looked for where all others
  // are, when its metadata has been fetched.
  void conservative_word(Address /*at*/, std::uintptr_t word) {
    const Address address(word & format_.conservative_mask);
    if (!committed_.contains(address)) return;
    const heap::Block& block = space_.region().block_table().of(address);
    if (block.may_hold_unmarked() && (scope_ == Scope::all || block.young))
      edge(Address(), address.align_down(heap::kGranuleBytes));
  }
  // Traces the marked objects in the range, so far as they lie in it: old ones, in a minor cycle.
  // Answers whether they refer to blocks with young objects.
  bool scan_old(Range range);
  // The same, later, by whichever marker comes to it.
  void scan_old_later(Range range);
  // Traces one object, which is marked.
  void rescan(Address start);
  void flush() { stack_.flush(); }  // everything to the pool, for others to take

  // Until there is nothing left anywhere: to be called by as many markers as are named.
  void run(unsigned markers);

  void set_ephemerons(const Ephemerons* ephemerons) { ephemerons_ = ephemerons; }
  std::size_t marked_bytes() const { return marked_bytes_; }
  std::size_t marked_objects() const { return marked_objects_; }
  std::size_t scanned_bytes() const { return scanned_bytes_; }  // or to be scanned
  // Of those it marked, the ones that reach memory outside the heap.
  const os::OffHeapVector<Address>& reachers() const { return reachers_; }

 private:
  class Loop;
  static constexpr std::size_t kAhead = 8;         // addresses in the queue, a power of two
  static constexpr std::size_t kPart = 64 * 1024;  // of a large object that is traced at once

  void drain();
  // In a minor cycle; false: what `target` lies in is marked already. A block that is allocated
  // into again and again has old objects, too.
  bool may_be_young(const heap::Block& block, Address target) const {
    if (!block.young || !block.has_old) return block.young;
    const auto byte = space_.metadata().load(target.align_down(heap::kGranuleBytes));
    return !byte.is_object() || byte.mark() != epoch_;
  }
  Address start_of(Address address) const;
  void trace_other(const heap::Found& object);
  void trace(const heap::Found& object);
  void trace_from(Address start, std::size_t offset);
  void scan(Range range);
  void scan_small(Range part, Range block);
  void scan_large(Range part);
  void scan_part(const heap::Found& object, Range part);

  const unsigned epoch_;
  const Scope scope_;
  const Counting counting_;
  MarkStack stack_;
  const Ephemerons* ephemerons_;
  std::size_t marked_bytes_ = 0;
  std::size_t marked_objects_ = 0;
  std::size_t scanned_bytes_ = 0;
  std::size_t edges_to_young_ = 0;
  os::OffHeapVector<Address> reachers_;
};

}  // namespace weir::collector
