#include "runtime/os/text_buffer.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

using weir::os::TextBuffer;

namespace {

template <class Add>
std::string text(Add add, std::size_t room = 100) {
  std::vector<char> memory(room);
  TextBuffer buffer(memory);
  add(buffer);
  return std::string(buffer.view());
}

}  // namespace

TEST_CASE("numbers") {
  CHECK(text([](TextBuffer& b) { b.add_number(0).add(' ').add_number(UINT64_MAX); }) ==
        "0 18446744073709551615");
  CHECK(text([](TextBuffer& b) { b.add_hex(0).add(' ').add_hex(0xbeef0); }) == "0x0 0xbeef0");
  CHECK(text([](TextBuffer& b) { b.add_hex(UINT64_MAX); }) == "0xffffffffffffffff");
  CHECK(text([](TextBuffer& b) { b.add_grouped(0).add(' ').add_grouped(999); }) == "0 999");
  CHECK(text([](TextBuffer& b) { b.add_grouped(1000).add(' ').add_grouped(1234567); }) ==
        "1,000 1,234,567");
  CHECK(text([](TextBuffer& b) { b.add_grouped(UINT64_MAX); }) == "18,446,744,073,709,551,615");
  CHECK(text([](TextBuffer& b) { b.add_fixed(2034, 1).add(' ').add_fixed(5, 3); }) ==
        "203.4 0.005");
  CHECK(text([](TextBuffer& b) { b.add_fixed(UINT64_MAX, 3); }) == "18446744073709551.615");
}

TEST_CASE("columns") {
  CHECK(text([](TextBuffer& b) { b.add("ab").add_number(12).align_right(2, 5); }) == "ab   12");
  CHECK(text([](TextBuffer& b) { b.add("ab").add_number(12).align_left(2, 5); }) == "ab12   ");
  CHECK(text([](TextBuffer& b) { b.add("ab").add_number(123).align_right(2, 3); }) == "ab123");
  CHECK(text([](TextBuffer& b) { b.add_number(1234).align_right(0, 3); }) == "1234");
}

TEST_CASE("what does not fit is cut off") {
  for (std::size_t room = 0; room < 12; ++room) {
    const std::string cut =
        text([](TextBuffer& b) { b.add("abcdef").add('g').add("hijkl"); }, room);
    CHECK(cut == std::string("abcdefghijkl").substr(0, room));
  }
  CHECK(text([](TextBuffer& b) { b.add_number(12).align_right(0, 9); }, 5) == "   12");
  CHECK(text([](TextBuffer& b) { b.add_grouped(1234567); }, 4) == "1,23");
}
