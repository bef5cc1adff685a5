// A growing sequence of plain values in off-heap memory. One thread at a time; also while other
// threads are stopped by signals, since it uses no malloc. Elements move when it grows.
#pragma once

#include <algorithm>
#include <type_traits>

#include "runtime/os/off_heap.hpp"

namespace weir::os {

template <class T>
class OffHeapVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // False: out of memory, and nothing changed.
  [[nodiscard]] bool push_back(const T& value) {
    if (!make_room()) return false;
    memory_[size_++] = value;
    return true;
  }
  // The next push_back succeeds.
  [[nodiscard]] bool make_room() {
    return size_ < memory_.size() || reserve(size_ == 0 ? 16 : size_ * 2);
  }
  [[nodiscard]] bool reserve(std::size_t count) {
    if (count <= memory_.size()) return true;
    auto larger = OffHeapArray<T>::create(count);
    if (!larger) return false;
    for (std::size_t i = 0; i < size_; ++i) (*larger)[i] = memory_[i];
    memory_ = std::move(*larger);
    return true;
  }
  void pop_back() { --size_; }
  void erase(T* element) {  // those behind it move up
    std::move(element + 1, end(), element);
    --size_;
  }
  void clear() { size_ = 0; }
  void truncate(std::size_t count) { size_ = count; }  // not above size()

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return memory_.size(); }
  bool empty() const { return size_ == 0; }
  T& back() { return memory_[size_ - 1]; }
  T& operator[](std::size_t index) { return memory_[index]; }
  const T& operator[](std::size_t index) const { return memory_[index]; }
  T* begin() { return memory_.data(); }
  T* end() { return memory_.data() + size_; }
  const T* begin() const { return memory_.data(); }
  const T* end() const { return memory_.data() + size_; }

 private:
  OffHeapArray<T> memory_;
  std::size_t size_ = 0;
};

}  // namespace weir::os
