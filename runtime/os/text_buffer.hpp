// Text put together in memory that the caller has: no allocation, no stdio, no locale. For lines
// that are written from signal handlers, during a pause, or on the way to the end. What does not
// fit is cut off. Any state; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir::os {

class TextBuffer {
 public:
  explicit TextBuffer(std::span<char> memory) : memory_(memory) {}

  TextBuffer& add(char c) {
    if (size_ < memory_.size()) memory_[size_++] = c;
    return *this;
  }
  TextBuffer& add(std::string_view text);
  TextBuffer& add_number(std::uint64_t value);
  TextBuffer& add_hex(std::uint64_t value);  // 0x...
  // 39,800
  TextBuffer& add_grouped(std::uint64_t value);
  // value / 10^digits with that many digits after the point: add_fixed(2034, 1) is 203.4
  TextBuffer& add_fixed(std::uint64_t value, unsigned digits);
  // What was added since `start` becomes at least `width` long: by blanks before it, or after it.
  TextBuffer& align_right(std::size_t start, std::size_t width);
  TextBuffer& align_left(std::size_t start, std::size_t width);

  std::size_t size() const { return size_; }
  std::size_t room() const { return memory_.size() - size_; }
  std::string_view view() const { return {memory_.data(), size_}; }
  void clear() { size_ = 0; }

 private:
  std::span<char> memory_;
  std::size_t size_ = 0;
};

}  // namespace weir::os
