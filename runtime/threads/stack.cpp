#include "runtime/threads/stack.hpp"

#include <algorithm>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#endif
#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace weir::threads {

// Nothing is inlined by force into what is not sanitized: it would poison a frame that nobody
// cleans.
__attribute__((noinline, no_sanitize("address", "thread"))) void StackPlace::capture(
    Address cold_end) {
  __builtin_unwind_init();  // this frame saves all that callers expect to find again
  std::uintptr_t sp = 0;
  WEIR_READ_STACK_POINTER(sp);
  capture_at(Address(sp), cold_end);
}

__attribute__((noinline, no_sanitize("address", "thread"))) void StackPlace::capture_at(
    Address sp, Address cold_end) {
  sp_ = sp;
  const std::size_t words = cold_end > sp_ ? (cold_end - sp_) / sizeof frames_[0] : 0;
  used_ = std::min(words, kWords);
  // Word by word: a memcpy would be the sanitizer's.
  const auto* from = sp_.as<const volatile std::uintptr_t>();
  for (std::size_t i = 0; i < used_; ++i) frames_[i] = from[i];
#ifdef WEIR_ASAN
  moved_frames_ = ::__asan_get_current_fake_stack();
#endif
}

#ifdef WEIR_ASAN
__attribute__((no_sanitize("address", "thread"))) void StackPlace::find_moved_frames(
    Range words, os::FunctionRef<void(Range)> sink) const {
  if (moved_frames_ == nullptr) return;
  for (Address a = words.begin; a < words.end(); a = a + sizeof(std::uintptr_t)) {
    void* begin = nullptr;
    void* end = nullptr;
    void* word = Address(*a.as<const volatile std::uintptr_t>()).as();
    if (::__asan_addr_is_in_fake_stack(moved_frames_, word, &begin, &end) != nullptr)
      sink(Range::between(Address(begin), Address(end)));
  }
}
#else
void StackPlace::find_moved_frames(Range, os::FunctionRef<void(Range)>) const {}
#endif

}  // namespace weir::threads
