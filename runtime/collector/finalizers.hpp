// Who is to be told when an object dies. In the order of registration; an object has at most one.
//
//   registered --found dead--> due --taken--> running --done--> gone
//
// Due and running objects are roots: their finalizers see them whole. Those registered since the
// last cycle are the end of the list. Under its own lock.
#pragma once

#include <weir/weir.h>

#include <mutex>
#include <optional>
#include <weir/error.hpp>

#include "runtime/collector/address_map.hpp"
#include "runtime/collector/scope.hpp"
#include "runtime/heap/space.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class Marker;
class RootVisitor;

struct Finalizer {
  Address object;  // null: taken away
  weir_finalizer call = nullptr;
  void* data = nullptr;
};

class Finalizers {
 public:
  // `call` nullptr takes it away.
  Expected<> set(Address object, weir_finalizer call, void* data);
  // The next that is due; it runs from now on, until done() is called with its object.
  std::optional<Finalizer> take_due();
  void done(Address object);
  // All that are registered become due: the heap ends.
  void make_all_due();

  std::size_t registered() {
    const std::lock_guard guard(lock_);
    return index_.size();
  }
  std::size_t due() {
    const std::lock_guard guard(lock_);
    return due_.size() - first_due_;
  }

  // -- World stopped --
  void scan_roots(RootVisitor& visitor);
  template <class Visit>
  void for_each_registered(Visit&& visit) {
    const std::lock_guard guard(lock_);
    for (const Finalizer& finalizer : registered_)
      if (finalizer.object != Address()) visit(finalizer.object);
  }
  // Dead objects' finalizers become due. The marker gets the objects, so that they live on.
  // False: there were none. Once in each cycle; afterwards all are old.
  bool find_dead(const heap::Space& space, Marker& marker, Scope scope);

  std::mutex& lock() { return lock_; }  // for fork(2)

 private:
  void make_due(const Finalizer& finalizer);
  void compact(std::size_t from);

  std::mutex lock_;
  os::OffHeapVector<Finalizer> registered_;
  std::size_t old_count_ = 0;        // the first ones of registered_, from before the last cycle
  AddressMap<std::uint32_t> index_;  // of an object in registered_
  os::OffHeapVector<Finalizer> due_;
  std::size_t first_due_ = 0;
  os::OffHeapVector<Address> running_;
};

}  // namespace weir::collector
