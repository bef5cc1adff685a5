// A scope's reference to an object, which keeps it alive: a precise root. For mutators whose stack
// is not scanned; with a conservative stack (the default) plain pointers in variables do.
#pragma once

#include <weir/weir.h>

#include <cassert>
#include <weir/mutator.hpp>

namespace weir {

// Ends in the reverse order of beginnings, on the same mutator: a local variable, or a member of
// one. Five words; it costs three stores to begin and one to end. Holds plain pointers: of no use
// in heaps whose slots are encoded otherwise.
template <class T>
class Local {
 public:
  explicit Local(MutatorRef mutator, T* object = nullptr)
      : mutator_(mutator.get()), slot_(object), frame_{nullptr, 1, &slot_} {
    weir_frame_enter(mutator_, &frame_);
  }
  ~Local() {
    assert(mutator_->frames == &frame_ && "locals end in the reverse order of their beginnings");
    weir_frame_leave(mutator_, &frame_);
  }
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;

  Local& operator=(T* object) {
    slot_ = object;
    return *this;
  }
  T* get() const { return static_cast<T*>(slot_); }
  operator T*() const { return get(); }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }

 private:
  weir_mutator* mutator_;
  void* slot_;
  weir_frame frame_;
};

}  // namespace weir
