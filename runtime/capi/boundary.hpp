// What all of the C API does at its boundary: turns errors into a status and a sentence, and ends
// the process with a sentence for a mutator that is not attached any more.
#pragma once

#include <weir/weir.h>

#include <weir/error.hpp>

#include "runtime/collector/heap.hpp"

namespace weir::capi {

// Keeps the error for weir_error_message, which makes the sentence: no malloc inside the runtime,
// where a thread that a signal stopped may hold its lock.
weir_status failed(const Error& error);
inline weir_status failed(const Unexpected& made_here) {
  return failed(made_here.value());
}
inline weir_status status_of(const Expected<>& result) {
  return result ? WEIR_OK : failed(result.error());
}
// A `what` that was given as NULL, or otherwise can never be right.
weir_status invalid(const char* doing, const char* what);

// Each of these ends the process with a sentence if what it says is not so.
collector::Heap& given(weir_heap* heap);              // not NULL
collector::Mutator& attached(weir_mutator* mutator);  // not NULL, not detached
collector::Mutator& running(weir_mutator* mutator);   // and not in a blocking region
void outside_of_callbacks();  // those that Weir calls with locks held: to trace, to visit

// A call that takes a heap, from any thread. A mutator's thread may be among them: it obeys no stop
// signal while it holds a lock of the heap.
class HeapEntry {
 public:
  explicit HeapEntry(weir_heap* heap)
      : heap_(given(heap)), section_(threads::HostThread::current()) {
    outside_of_callbacks();
  }
  collector::Heap* operator->() const { return &heap_; }
  collector::Heap& operator*() const { return heap_; }

 private:
  collector::Heap& heap_;
  threads::HostThread::Section section_;
};

// Inside the runtime, where a stop signal is not obeyed, with a running mutator.
class Entry {
 public:
  explicit Entry(weir_mutator* mutator) : mutator_(running(mutator)), runtime_(mutator_.thread()) {
    outside_of_callbacks();
  }
  collector::Mutator* operator->() const { return &mutator_; }
  collector::Heap& heap() const { return mutator_.heap(); }

 private:
  collector::Mutator& mutator_;
  threads::MutatorThread::Runtime runtime_;
};

}  // namespace weir::capi
