// Where a mutator stands when it stops, and what of its stacks is to be scanned.

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/os/last_words.hpp"
#include "runtime/os/off_heap.hpp"
#include "runtime/threads/mutator_thread.hpp"

namespace weir::threads {
namespace {

constexpr std::size_t kWord = sizeof(std::uintptr_t);

Range whole_words(Range range) {
  const Address begin = range.begin.align_up(kWord);
  const Address end = range.end().align_down(kWord);
  return begin < end ? Range::between(begin, end) : Range{begin, 0};
}

#if defined(__x86_64__)
constexpr std::size_t kRedZone = 128;  // below the stack pointer, and in use
Address stack_pointer(const ucontext_t& user) {
  return Address(static_cast<std::uintptr_t>(user.uc_mcontext.gregs[REG_RSP]));
}
// The legacy part, and what the processor has beyond it: a pointer that is being copied may be in
// a vector register and nowhere else. The kernel says in reserved words how long it is.
Range vector_registers(const ucontext_t& user) {
  constexpr std::uint32_t kMagic = 0x46505853;  // FP_XSTATE_MAGIC1
  constexpr std::size_t kReservedAt = 464;
  const auto* saved = reinterpret_cast<const char*>(user.uc_mcontext.fpregs);
  if (saved == nullptr) return {};
  std::uint32_t reserved[2];
  std::memcpy(reserved, saved + kReservedAt, sizeof reserved);
  return Range::of(saved, reserved[0] == kMagic ? reserved[1] : sizeof(_libc_fpstate));
}
#elif defined(__aarch64__)
constexpr std::size_t kRedZone = 0;
Address stack_pointer(const ucontext_t& user) {
  return Address(user.uc_mcontext.sp);
}
Range vector_registers(const ucontext_t&) {
  return {};  // inside uc_mcontext
}
#else
#error "where does a signal frame have the registers?"
#endif

// The lowest address in `memory` that one of `words` may be.
__attribute__((no_sanitize("address", "thread"))) Address lowest_within(Range memory, Range words) {
  Address lowest = memory.end();
  for (Address a = words.begin; a < words.end(); a = a + kWord) {
    const Address word(*a.as<const volatile std::uintptr_t>());
    if (memory.contains(word)) lowest = std::min(lowest, word);
  }
  return lowest;
}

}  // namespace

const Stack* MutatorThread::stack_of(Address address) const {
  const bool is_bounded = current_->memory_.begin != Address();
  if (is_bounded && current_->memory_.contains(address)) return current_;
  for (const Stack* stack = stacks_; stack != nullptr; stack = stack->next_)
    if (stack->memory_.contains(address)) return stack;
  return own_.memory_.contains(address) ? &own_ : nullptr;
}

void MutatorThread::capture(StackPlace& place) {
  const Stack* stack = stack_of(Address(__builtin_frame_address(0)));
  const Address cold_end = stack != nullptr ? stack->memory_.end() : Address();
  if (is_scanned_from_entry_)
    place.capture_at(entry_, cold_end);
  else
    place.capture(cold_end);
}

void MutatorThread::stand_still(const void* signal_context) {
  capture(place_);
  if (signal_context != nullptr) look_at_signal(signal_context);
  transition(signal_context != nullptr ? MutatorState::stopped_by_signal
                                       : MutatorState::stopped_at_poll);
}

void MutatorThread::look_at_signal(const void* context) {
  const auto& user = *static_cast<const ucontext_t*>(context);
  registers_[0] = Range::of(&user.uc_mcontext, sizeof user.uc_mcontext);
  registers_[1] = vector_registers(user);
  signal_frames_ = {};

  const Address interrupted = (stack_pointer(user) - kRedZone).align_down(kWord);
  const Range signal_stack = Range::of(user.uc_stack.ss_sp, user.uc_stack.ss_size);
  if (!signal_stack.contains(place_.sp())) {
    // No signal stack; or a sanitizer held the signal back, so that the context is of long ago.
    sp_ = place_.sp();
  } else if (!signal_stack.contains(interrupted)) {
    sp_ = interrupted;
  } else {
    // Another handler was interrupted. Somewhere in its frames is the stack pointer of the code
    // that it had interrupted: not below the lowest address of that stack to be found. None is
    // found in the moment of a switch, when the stacks of both sides count as left.
    signal_frames_ = whole_words(Range::between(interrupted, signal_stack.end()));
    const Range memory = current_->memory_;
    const Address lowest = lowest_within(memory, signal_frames_);
    sp_ = Address();
    if (lowest != memory.end()) sp_ = std::max(memory.begin, (lowest - kRedZone).align_down(kWord));
  }
}

void MutatorThread::for_each_conservative_range(os::FunctionRef<void(Range)> sink) const {
  if (!is_conservative_) return;
  const auto report = [&](const StackPlace& place, Range range) {
    const Range words = whole_words(range);
    if (words.empty()) return;
    sink(words);
    place.find_moved_frames(words, sink);
  };
  const bool by_signal = stopped_by_signal();
  const Address sp = by_signal ? sp_ : place_.sp();
  const Stack* here = sp != Address() ? stack_of(sp) : nullptr;
  if (here == nullptr && sp != Address())
    os::last_words(
        "a thread was stopped on a stack that Weir does not know; register the stacks of "
        "fibers, or give the stack's base when you attach",
        sp);
  report(place_, place_.copy());
  if (by_signal) {
    report(place_, registers_[0]);
    report(place_, registers_[1]);
    report(place_, signal_frames_);
  }
  if (here != nullptr) report(place_, Range::between(sp, here->memory_.end()));

  const auto report_left = [&](const Stack& stack) {
    if (&stack == here || stack.in_use_ == Stack::InUse::nothing) return;
    const StackPlace& place = stack.place_;
    if (stack.in_use_ == Stack::InUse::everything) return report(place, stack.memory_);
    report(place, place.copy());
    report(place, stack.registers_);
    report(place, Range::between(place.sp(), stack.memory_.end()));
  };
  report_left(own_);
  for (const Stack* stack = stacks_; stack != nullptr; stack = stack->next_) report_left(*stack);
}

Expected<Stack*> MutatorThread::register_stack(Range memory) {
  constexpr const char* kWhat = "registering a stack";
  if (memory.empty() || !memory.is_aligned(kWord))
    return fail(ErrorCode::invalid_argument, kWhat, "it is empty, or not aligned to words", memory);
  if (memory.end() < memory.begin)
    return fail(ErrorCode::invalid_argument, kWhat, "it does not fit into memory", memory);
  for (const Stack* stack = stacks_; stack != nullptr; stack = stack->next_)
    if (stack->memory_.overlaps(memory))
      return fail(ErrorCode::busy, kWhat, "it overlaps one that is registered", memory);
  const HostThread::Section section(*host_);
  void* place = os::off_heap_allocate(sizeof(Stack));
  if (place == nullptr) return fail(ErrorCode::out_of_memory, kWhat, {}, memory);
  auto* stack = new (place) Stack;
  stack->memory_ = memory;
  stack->in_use_ = Stack::InUse::everything;
  stack->next_ = stacks_;
  stacks_ = stack;
  return stack;
}

Expected<> MutatorThread::unregister_stack(Stack* stack) {
  constexpr const char* kWhat = "unregistering a stack";
  const HostThread::Section section(*host_);
  Stack** link = &stacks_;
  while (*link != nullptr && *link != stack) link = &(*link)->next_;
  if (*link == nullptr) return fail(ErrorCode::not_registered, kWhat);
  if (stack->memory_.contains(Address(__builtin_frame_address(0))))
    return fail(ErrorCode::busy, kWhat, "the thread stands on it", stack->memory_);
  *link = stack->next_;
  if (current_ == stack) current_ = &own_;
  os::off_heap_free(stack, sizeof *stack);
  return {};
}

void MutatorThread::switch_stack(Stack* to, const void* registers, std::size_t bytes) {
  const HostThread::Section section(*host_);
  auto* left = const_cast<Stack*>(stack_of(Address(__builtin_frame_address(0))));
  if (left == nullptr)
    os::last_words("a program switches from a stack that Weir does not know: register it first",
                   Address(__builtin_frame_address(0)));
  left->place_.capture(left->memory_.end());
  left->registers_ = Range::of(registers, bytes);
  left->in_use_ = Stack::InUse::from_place;
  current_ = to != nullptr ? to : &own_;
}

void MutatorThread::forget_stacks() {
  while (Stack* stack = stacks_) {
    stacks_ = stack->next_;
    os::off_heap_free(stack, sizeof *stack);
  }
  current_ = &own_;
}

}  // namespace weir::threads
