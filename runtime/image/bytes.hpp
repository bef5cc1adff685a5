// Numbers and texts as they stand in a file: little-endian, packed. A reader of untrusted bytes
// never leaves them: what is not there reads as zero, and ok() is false from then on.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::image {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  // A length of 16 bits, then the text.
  std::string text() {
    const auto taken = bytes(u16());
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  bool ok() const { return ok_; }
  std::size_t left() const { return rest_.size(); }
  // Whether so many things of at least so many bytes each may still come.
  bool may_hold(std::size_t count, std::size_t bytes_each) {
    ok_ = ok_ && count <= rest_.size() / bytes_each;
    return ok_;
  }

 private:
  template <class Number>
  Number number() {
    Number value = 0;
    const auto taken = bytes(sizeof(Number));
    if (taken.empty()) return value;
    std::memcpy(&value, taken.data(), sizeof value);
    if constexpr (std::endian::native == std::endian::big) {
      auto* const first = reinterpret_cast<std::byte*>(&value);
      std::reverse(first, first + sizeof value);
    }
    return value;
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

class ByteWriter {
 public:
  void u8(std::uint8_t value) { number(value, 1); }
  void u16(std::uint16_t value) { number(value, 2); }
  void u32(std::uint32_t value) { number(value, 4); }
  void u64(std::uint64_t value) { number(value, 8); }
  void bytes(std::span<const std::byte> bytes) {
    for (const std::byte b : bytes) bytes_.push_back(b);
  }
  void text(std::string_view text) {  // at most 64 KiB
    u16(static_cast<std::uint16_t>(text.size()));
    bytes(std::as_bytes(std::span(text)));
  }
  void zeros_up_to(std::size_t size) { bytes_.resize(size); }

  std::size_t size() const { return bytes_.size(); }
  std::span<const std::byte> view() const { return bytes_; }

 private:
  void number(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i, value >>= 8)
      bytes_.push_back(static_cast<std::byte>(value));
  }

  std::vector<std::byte> bytes_;
};

}  // namespace weir::image
