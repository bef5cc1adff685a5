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

// A call that takes a heap, from any thread. A mutator's thread may be among them: it obeys no stop
// signal while it holds a lock of the heap.
class HeapEntry {
 public:
  explicit HeapEntry(weir_heap* heap)
      : heap_(collector::Heap::of(heap)), section_(threads::HostThread::current()) {}
  collector::Heap* operator->() const { return &heap_; }
  collector::Heap& operator*() const { return heap_; }

 private:
  collector::Heap& heap_;
  threads::HostThread::Section section_;
};

// Attached.
collector::Mutator& attached(weir_mutator* mutator);

// Inside the runtime, where a stop signal is not obeyed, with an attached mutator.
class Entry {
 public:
  explicit Entry(weir_mutator* mutator)
      : mutator_(attached(mutator)), runtime_(mutator_.thread()) {}
  collector::Mutator* operator->() const { return &mutator_; }
  collector::Heap& heap() const { return mutator_.heap(); }

 private:
  collector::Mutator& mutator_;
  threads::MutatorThread::Runtime runtime_;
};

}  // namespace weir::capi
