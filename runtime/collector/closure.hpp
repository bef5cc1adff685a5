// What an always-dirty minor cycle would have marked: the references of every marked object, looked
// at whatever its page's state is. After a minor cycle none of them may lead to something unmarked;
// one that does was written and not reported. For the verifier; the world is stopped.
#pragma once

#include "runtime/collector/tracer.hpp"

namespace weir::collector {

class Heap;

class Closure final : public Tracer<Closure> {
 public:
  explicit Closure(Heap& heap);

  struct Missed {
    Address parent;
    Address slot;
    Address object;
  };
  // The first missed one; all null: none.
  Missed find();

  void edge(Address slot, Address target);

 private:
  Heap& heap_;
  Address parent_;
  Missed missed_;
};

}  // namespace weir::collector
