// Finds the references in roots and in objects, by kind, and hands each to Derived:
//
//   void edge(Address slot, Address target);    // the word at `slot` refers to `target`, a granule
//
// `target` is in the heap's committed range: the start of an object or, where precise slots hold
// such, an address inside one. Conservative words are handed on only where they hit an object, as
// its start; a Derived may have its own conservative_word for that. Inlined into each Derived,
// since marking lives on it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "runtime/collector/root_visitor.hpp"
#include "runtime/heap/space.hpp"

namespace weir::collector {

// What the words of a heap mean.
struct WordFormat {
  std::uintptr_t slot_mask = ~std::uintptr_t{0};
  unsigned slot_shift = 0;
  std::uintptr_t conservative_mask = ~std::uintptr_t{0};

  Address decode(std::uintptr_t word) const { return Address((word & slot_mask) << slot_shift); }
};

// True while this thread runs a callback of the embedder that traces.
bool is_tracing();

// What weir_visitor_flush and weir_visit_conservatively need to find behind a weir_visitor.
class VisitorOwner {
 public:
  virtual void flush_visitor() = 0;
  virtual void visit_words(Range words) = 0;
  static VisitorOwner& of(weir_visitor* visitor) {
    return *static_cast<VisitorOwner*>(visitor->owner);
  }

 protected:
  ~VisitorOwner() = default;
};

struct TracingScope {
  TracingScope();
  ~TracingScope();
};

template <class Derived>
class Tracer : public RootVisitor, public VisitorOwner {
 public:
  void root_slots(const char* /*what*/, Address first, std::size_t count) override {
    trace_slots(first, count);
  }
  void root_words(const char* /*what*/, Range words) override { visit_words(words); }
  void root_object(const char* /*what*/, Address object) override {
    if (committed_.contains(object)) derived().edge(Address(), object);  // not one of an image
  }
  void root_callback(const char* /*what*/, os::FunctionRef<void(weir_visitor*)> callback) override {
    call_back(callback);
  }

  void flush_visitor() override {
    for (unsigned i = 0; i < visitor_.count; ++i)
      reference(Address(edges_[i].slot), Address(edges_[i].object));
    visitor_.count = 0;
  }
  // Stacks hold what sanitizers guard: red zones, variables that are gone, words being written. In
  // plain arithmetic up to what lies in the heap: whatever is called from here is instrumented.
  __attribute__((no_sanitize("address", "thread"))) void visit_words(Range words) override {
    const std::uintptr_t heap = committed_.begin.value();
    const std::uintptr_t size = committed_.size;
    const std::uintptr_t mask = format_.conservative_mask;
    const auto* end = words.end().align_down(kWordBytes).as<const volatile std::uintptr_t>();
    for (const auto* at = words.begin.align_up(kWordBytes).as<const volatile std::uintptr_t>();
         at < end; ++at) {
      const std::uintptr_t word = *at;
      if ((word & mask) - heap < size) derived().conservative_word(Address(at), word);
    }
  }
  // One that may be an address.
  void conservative_word(Address at, std::uintptr_t word) {
    const Address address(word & format_.conservative_mask);
    if (!committed_.contains(address)) return;
    if (const auto found = space_.find(address)) derived().edge(at, found->range.begin);
  }

 protected:
  static constexpr std::size_t kWordBytes = sizeof(std::uintptr_t);

  Tracer(const heap::Space& space, const WordFormat& format)
      : Tracer(space, format, space.committed()) {}
  // Hands on what lies in `reach`, whatever it is.
  Tracer(const heap::Space& space, const WordFormat& format, Range reach)
      : space_(space), format_(format), committed_(reach) {
    visitor_ = {committed_.begin.value(),
                committed_.size,
                format.slot_mask,
                format.slot_shift,
                0,
                kEdges,
                edges_,
                static_cast<VisitorOwner*>(this)};
  }
  ~Tracer() = default;

  // The part [from, to) of an object.
  void trace_part(const heap::Found& object, std::size_t from, std::size_t to) {
    const Address begin = object.range.begin;
    switch (object.kind.trace_class()) {
      case heap::TraceClass::bitmap:
        return trace_bitmap(object, from, to);
      case heap::TraceClass::slots:
        return trace_slots(begin + from, (to - from) / kWordBytes);
      case heap::TraceClass::conservative:
        return trace_words(begin + from, begin + to);
      case heap::TraceClass::callback:
        return trace_by_callback(space_.kinds().by_number(object.kind.number()), begin, from, to);
      case heap::TraceClass::leaf:
      case heap::TraceClass::free:
        return;
    }
  }

  void trace_by_callback(const heap::Kind& kind, Address object, std::size_t from, std::size_t to) {
    call_back(
        [&](weir_visitor* visitor) { kind.trace(visitor, object.as(), from, to, kind.data); });
  }

  const heap::Space& space_;
  const WordFormat format_;
  const Range committed_;

 private:
  static constexpr std::size_t kEdges = 128;  // that a trace callback hands over at once

  Derived& derived() { return *static_cast<Derived*>(this); }
  static std::uintptr_t load(Address at) {
    std::uintptr_t word;
    std::memcpy(&word, at.as(), sizeof word);
    return word;
  }
  void reference(Address slot, Address target) {
    if (committed_.contains(target)) derived().edge(slot, target.align_down(heap::kGranuleBytes));
  }
  void trace_slot(Address slot) { reference(slot, format_.decode(load(slot))); }
  void trace_slots(Address first, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) trace_slot(first + i * kWordBytes);
  }
  void trace_bitmap(const heap::Found& object, std::size_t from, std::size_t to) {
    const heap::Kind& kind = space_.kinds().by_number(object.kind.number());
    std::size_t bit = from / kWordBytes % kind.bitmap_words;
    for (std::size_t at = from; at < to;) {
      const std::size_t words =
          std::min({kind.bitmap_words - bit, 64 - bit % 64, (to - at) / kWordBytes});
      std::uint64_t slots = kind.bitmap[bit / 64] >> (bit % 64);
      if (words < 64) slots &= (std::uint64_t{1} << words) - 1;
      for (; slots != 0; slots &= slots - 1)
        trace_slot(object.range.begin + at +
                   static_cast<unsigned>(std::countr_zero(slots)) * kWordBytes);
      at += words * kWordBytes;
      bit += words;
      if (bit == kind.bitmap_words) bit = 0;
    }
  }
  void trace_words(Address from, Address to) {
    for (Address at = from; at < to; at = at + kWordBytes)
      derived().conservative_word(at, load(at));
  }
  void call_back(os::FunctionRef<void(weir_visitor*)> callback) {
    {
      const TracingScope scope;
      callback(&visitor_);
    }
    flush_visitor();
  }

  weir_visitor visitor_;
  weir_edge edges_[kEdges];
};

}  // namespace weir::collector
