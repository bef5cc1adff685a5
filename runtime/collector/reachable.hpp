// A breadth-first walk over what roots reach, on one thread, with a table of its own and no look at
// the marks: what the verifier compares them with, and how a path to an object is found. The world
// is stopped. Slow, and needs 32 to 64 bytes of off-heap memory for each object.
#pragma once

#include "runtime/collector/address_map.hpp"
#include "runtime/collector/tracer.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class Heap;

class Reachable final : public Tracer<Reachable> {
 public:
  // How an object was first found.
  struct Edge {
    const char* root = nullptr;  // which sort of root refers to it; nullptr: an object does
    Address parent;              // that object's start
    Address slot;                // the word; null where there is none
  };

  explicit Reachable(Heap& heap);

  // Ends early when `wanted` is found. False: off-heap memory ran out.
  bool walk(Address wanted = Address());

  const Edge* find(Address object) const { return found_.find(object); }
  std::size_t size() const { return found_.size(); }
  template <class Visit>
  void for_each(Visit&& visit) {
    found_.for_each(visit);
  }
  // A precise slot that refers to no object at all; its `root` and `parent` say where it is.
  const Edge* dangling() const { return dangling_.slot != Address() ? &dangling_ : nullptr; }

  void edge(Address slot, Address target);
  void root_slots(const char* what, Address first, std::size_t count) override;
  void root_words(const char* what, Range words) override;
  void root_object(const char* what, Address object) override;
  void root_callback(const char* what, os::FunctionRef<void(weir_visitor*)> callback) override;

 private:
  bool index_ephemerons();
  void add(const Edge& edge, Address object);

  Heap& heap_;
  AddressMap<Edge> found_;
  os::OffHeapVector<Address> queue_;
  AddressMap<std::uint32_t> first_of_key_;  // ephemerons, in values_
  struct Value {
    Address value;
    std::uint32_t next_of_key;
  };
  os::OffHeapVector<Value> values_;
  const char* root_ = nullptr;  // what is being traced
  Address parent_;
  Edge dangling_;
  bool out_of_memory_ = false;
};

}  // namespace weir::collector
