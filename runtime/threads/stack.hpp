// What a conservative collector reads of a thread that does not run: the registers that its callers
// rely on, and the part of each of its stacks that is in use.
//
// Everything here is written by the thread itself before it says that it stands still, and read by
// the collector afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <weir/address.hpp>

#include "runtime/os/function_ref.hpp"

namespace weir::threads {

// A place on a stack: everything from `sp` up to the stack's cold end was in use.
//
// What calls capture() may return while the place is still needed (a blocking region, a fiber that
// was left): its frame, and with it the registers that it had saved for its callers, is overwritten
// then. So the frames nearest to the place are copied.
class StackPlace {
 public:
  // Spills the callee-saved registers and notes where the stack pointer is. Nothing at or above
  // `cold_end` is read. Async-signal-safe.
  void capture(Address cold_end);
  // The same for a place further up, where the registers were spilled already.
  void capture_at(Address sp, Address cold_end);

  Address sp() const { return sp_; }
  // The copied frames.
  Range copy() const { return Range::of(frames_, used_ * sizeof frames_[0]); }

  // The frames that AddressSanitizer moved off the stack and that `word` refers to; nothing
  // elsewhere.
  void find_moved_frames(Range words, os::FunctionRef<void(Range)> sink) const;

 private:
  static constexpr std::size_t kWords = 128;

  Address sp_;
  std::size_t used_ = 0;  // words of `frames_`
  std::uintptr_t frames_[kWords];
  [[maybe_unused]] void* moved_frames_ = nullptr;  // AddressSanitizer's handle of them
};

// Into a std::uintptr_t. __builtin_unwind_init() at the beginning of a function makes it save there
// all registers that callers expect to find again. No function, since nothing may be inlined by
// force into what is not sanitized: it would poison a frame that nobody cleans.
#if defined(__x86_64__)
#define WEIR_READ_STACK_POINTER(word) asm volatile("mov %%rsp, %0" : "=r"(word))
#elif defined(__aarch64__)
#define WEIR_READ_STACK_POINTER(word) asm volatile("mov %0, sp" : "=r"(word))
#else
#error "which register is the stack pointer?"
#endif

// A stack that a mutator may run on: its thread's own, or a fiber's.
class Stack {
 public:
  Range memory() const { return memory_; }

 private:
  friend class MutatorThread;

  // What of it is scanned while the mutator stands on another one.
  enum class InUse { nothing, from_place, everything };

  Range memory_;
  InUse in_use_ = InUse::nothing;
  StackPlace place_;  // where it was left
  Range registers_;   // where the switch saved them; may be empty
  Stack* next_ = nullptr;
};

}  // namespace weir::threads
