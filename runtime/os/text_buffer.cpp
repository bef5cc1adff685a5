#include "runtime/os/text_buffer.hpp"

#include <algorithm>
#include <cstddef>

namespace weir::os {
namespace {

// 64 bits have 20 decimal digits.
class Digits {
 public:
  Digits(std::uint64_t value, unsigned base) {
    do {
      text_[--first_] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
  }
  std::string_view view() const { return {text_ + first_, sizeof text_ - first_}; }

 private:
  char text_[20];
  std::size_t first_ = sizeof text_;
};

}  // namespace

TextBuffer& TextBuffer::add(std::string_view text) {
  const std::size_t fits = std::min(text.size(), room());
  std::copy_n(text.data(), fits, memory_.data() + size_);
  size_ += fits;
  return *this;
}

TextBuffer& TextBuffer::add_number(std::uint64_t value) {
  return add(Digits(value, 10).view());
}

TextBuffer& TextBuffer::add_hex(std::uint64_t value) {
  return add("0x").add(Digits(value, 16).view());
}

TextBuffer& TextBuffer::add_grouped(std::uint64_t value) {
  const Digits digits(value, 10);
  std::size_t left = digits.view().size();
  for (char digit : digits.view()) {
    add(digit);
    if (--left > 0 && left % 3 == 0) add(',');
  }
  return *this;
}

TextBuffer& TextBuffer::add_fixed(std::uint64_t value, unsigned digits) {
  std::uint64_t unit = 1;
  for (unsigned i = 0; i < digits; ++i) unit *= 10;
  add_number(value / unit).add('.');
  for (std::uint64_t rest = value % unit; unit > 1; rest %= unit) {
    unit /= 10;
    add(static_cast<char>('0' + rest / unit));
  }
  return *this;
}

TextBuffer& TextBuffer::align_right(std::size_t start, std::size_t width) {
  const std::size_t length = size_ - start;
  align_left(start, width);
  const auto first = memory_.begin() + static_cast<std::ptrdiff_t>(start);
  std::rotate(first, first + static_cast<std::ptrdiff_t>(length),
              memory_.begin() + static_cast<std::ptrdiff_t>(size_));
  return *this;
}

TextBuffer& TextBuffer::align_left(std::size_t start, std::size_t width) {
  while (size_ - start < width && room() > 0) add(' ');
  return *this;
}

}  // namespace weir::os
