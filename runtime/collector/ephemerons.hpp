// Pairs of which the value lives as long as the key does. After the roots are traced, those whose
// key is not marked yet are indexed by it; a marker that marks an object asks for the values that
// wait for it. So each pair is looked at once, however long the chains are.
//
// The table is under its own lock while mutators run, and the collector's while they are stopped;
// for_each_value_of by all markers at once, after index_waiting.
#pragma once

#include <weir/weir.h>

#include <mutex>
#include <weir/error.hpp>

#include "runtime/collector/address_map.hpp"
#include "runtime/collector/aged_cells.hpp"
#include "runtime/heap/space.hpp"

struct weir_ephemeron {
  weir::Address key;    // null: it died
  weir::Address value;  // null: nothing, or its key died
  std::uint32_t index;  // in the table
  std::uint32_t next_of_key;
};

namespace weir::collector {

class Marker;

class Ephemerons {
 public:
  ~Ephemerons();

  Expected<weir_ephemeron*> create(Address key, Address value);
  void destroy(weir_ephemeron* ephemeron);
  std::size_t size(Scope scope = Scope::all) {
    const std::lock_guard guard(lock_);
    return pairs_.size(scope);
  }

  // Values of marked keys to the marker; the others wait.
  void index_waiting(const heap::Space& space, Marker& marker, Scope scope);
  template <class Sink>
  void for_each_value_of(Address key, Sink&& sink) const {
    const std::uint32_t* first = waiting_.find(key);
    for (std::uint32_t i = first != nullptr ? *first : kNone; i != kNone; i = pairs_[i].next_of_key)
      sink(pairs_[i].value);
  }
  // visit(key, value) for all whose key lives.
  template <class Visit>
  void for_each(Visit&& visit) {
    const std::lock_guard guard(lock_);
    for (const weir_ephemeron* ephemeron : pairs_.in(Scope::all))
      if (ephemeron->key != weir::Address()) visit(ephemeron->key, ephemeron->value);
  }
  // Everything that can be marked is: those that still wait are dead. Once in each cycle, with the
  // scope of index_waiting; afterwards all pairs are old.
  void clear_dead(const heap::Space& space, Scope scope);

  std::mutex& lock() { return lock_; }  // for fork(2)

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::mutex lock_;
  AgedCells<weir_ephemeron> pairs_;
  AddressMap<std::uint32_t> waiting_;  // the first of each key that is not marked
};

}  // namespace weir::collector
