// Off-heap memory: the runtime's own tables, bitmaps and stacks come from here, never from malloc.
// Two back-ends: `system`, ours over plain mappings, and `mimalloc`, in a library of its own
// (weir::mimalloc) for those who want it: whoever links it has it as the default, since Debian's
// libmimalloc replaces the malloc of the whole process. WEIR_OFFHEAP chooses among those linked.
//
// Any thread; also while other threads are stopped by signals wherever they stand. Not for signal
// handlers or the fault path [quiet-server].
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <weir/error.hpp>

namespace weir::os {

// Zeroed memory; large zeroed memory is not touched, so it costs address space until it is used.
// `alignment` is a power of two. nullptr: out of memory, or WEIR_OFFHEAP asks for what is not there
// (off_heap_ready tells).
void* off_heap_allocate(std::size_t bytes, std::size_t alignment = 16);
// `bytes` and `alignment` as they were allocated; nullptr is ignored.
void off_heap_free(void* memory, std::size_t bytes, std::size_t alignment = 16);

// Chooses the back-end, if that is not done yet; an error when WEIR_OFFHEAP cannot be obeyed. The
// choice holds for the life of the process.
Expected<> off_heap_ready();
// "mimalloc" or "system"; "none" when off_heap_ready fails.
const char* off_heap_name();

struct OffHeapBackend {
  const char* name;
  void* (*allocate)(std::size_t bytes, std::size_t alignment);  // zeroed
  void (*free)(void* memory, std::size_t bytes, std::size_t alignment);
};
const OffHeapBackend& off_heap_system();
// Called by weir::mimalloc before main; afterwards nullptr or the back-end that was linked in.
void off_heap_link(const OffHeapBackend& mimalloc);
const OffHeapBackend* off_heap_linked();
// What WEIR_OFFHEAP and what is linked amount to now, whatever was chosen before.
Expected<const OffHeapBackend*> off_heap_choice();

// A fixed number of elements whose bytes start as zeros, which must be a valid T (integers, enums,
// std::atomic of them, plain structs). No constructor or destructor of T runs.
template <class T>
class OffHeapArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  static Expected<OffHeapArray> create(std::size_t count);

  OffHeapArray() = default;
  OffHeapArray(OffHeapArray&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  OffHeapArray& operator=(OffHeapArray&& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~OffHeapArray() { off_heap_free(first_, count_ * sizeof(T), kAlignment); }

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  T* data() { return first_; }
  const T* data() const { return first_; }
  T* begin() { return first_; }
  T* end() { return first_ + count_; }
  const T* begin() const { return first_; }
  const T* end() const { return first_ + count_; }
  T& operator[](std::size_t index) { return first_[index]; }
  const T& operator[](std::size_t index) const { return first_[index]; }
  std::span<T> span() { return {first_, count_}; }
  std::span<const T> span() const { return {first_, count_}; }

 private:
  static constexpr std::size_t kAlignment = alignof(T) > 16 ? alignof(T) : 16;
  OffHeapArray(T* first, std::size_t count) : first_(first), count_(count) {}

  T* first_ = nullptr;
  std::size_t count_ = 0;
};

template <class T>
Expected<OffHeapArray<T>> OffHeapArray<T>::create(std::size_t count) {
  if (auto ready = off_heap_ready(); !ready) return Unexpected(ready.error());
  if (count == 0) return OffHeapArray();
  void* memory = nullptr;
  if (count <= static_cast<std::size_t>(-1) / 2 / sizeof(T))
    memory = off_heap_allocate(count * sizeof(T), kAlignment);
  if (memory == nullptr)
    return fail(ErrorCode::out_of_memory, "allocating a table outside the heap");
  return OffHeapArray(static_cast<T*>(memory), count);
}

}  // namespace weir::os
