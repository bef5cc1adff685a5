// Where references into a heap come from outside of it and of its mutators: registered slots,
// ranges and callbacks, pinned and uncollectable objects, the static data of loaded objects. Under
// its own lock; scanned with the world stopped.
#pragma once

#include <weir/weir.h>

#include <mutex>
#include <weir/error.hpp>

#include "runtime/collector/address_map.hpp"
#include "runtime/collector/scope.hpp"
#include "runtime/collector/static_data.hpp"
#include "runtime/os/off_heap_vector.hpp"

namespace weir::collector {

class RootVisitor;

class Roots {
 public:
  enum class Reading { slots, conservatively };
  // Errors: busy (it begins where another one does).
  Expected<> add(Range range, Reading reading);
  // By its first address. Errors: not_registered.
  Expected<> remove(Address first);
  Expected<> add_callback(weir_roots_callback callback, void* data);
  Expected<> remove_callback(weir_roots_callback callback, void* data);
  void scan_static_data(bool scan);

  // Objects that live as long as they are held at least once, by a pin or as uncollectable ones.
  enum class Hold { pinned, uncollectable };
  Expected<> hold(Address object, Hold how);
  Expected<> release(Address object, Hold how);  // errors: not_registered (it is not held so)

  // Lists the static data, which needs the loader's lock: before the world is stopped.
  void prepare();
  // After it was stopped. False: a library was loaded or unloaded in between.
  bool is_current();
  // Of the held objects only those that became so since the last scan, if the scope is `young`;
  // afterwards all are old. Everything else always: what it refers to may change at any time.
  void scan(RootVisitor& visitor, Scope scope);

  std::mutex& lock() { return lock_; }  // for fork(2)

 private:
  struct Entry {
    Range range;
    Reading reading;
  };
  struct Holds {
    std::uint32_t young_index;  // in young_; or kOld
    bool is_uncollectable = false;
    std::size_t pins = 0;
  };
  static constexpr std::uint32_t kOld = ~std::uint32_t{0};
  struct Callback {
    weir_roots_callback call;
    void* data;
    friend bool operator==(const Callback&, const Callback&) = default;
  };

  void forget_young(std::uint32_t index);

  std::mutex lock_;
  // Off-heap, since a thread that a signal stopped may hold malloc's lock.
  os::OffHeapVector<Entry> entries_;
  os::OffHeapVector<Callback> callbacks_;
  AddressMap<Holds> held_;
  os::OffHeapVector<Address> young_;  // held since the last scan
  bool static_data_ = false;
  StaticData data_;  // as of prepare()
};

}  // namespace weir::collector
