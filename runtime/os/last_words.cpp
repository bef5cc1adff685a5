#include "runtime/os/last_words.hpp"

#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace weir::os {
namespace {

// A line in a fixed buffer: no allocation, no stdio.
struct Line {
  char text[512];
  std::size_t size = 0;

  void add(char c) {
    if (size < sizeof(text)) text[size++] = c;
  }
  void add(const char* s) {
    while (*s != '\0') add(*s++);
  }
  void add_hex(std::uintptr_t value) {
    add("0x");
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) add("0123456789abcdef"[(value >> shift) & 0xf]);
  }
};

}  // namespace

void say(const char* sentence, Address at) noexcept {
  Line line;
  line.add("weir: ");
  line.add(sentence);
  if (at != Address()) {
    line.add(" (at ");
    line.add_hex(at.value());
    line.add(')');
  }
  line.add('\n');
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.text, line.size);
}

void last_words(const char* sentence, Address at) noexcept {
  say(sentence, at);
  std::abort();
}

}  // namespace weir::os
