#include "runtime/os/last_words.hpp"

#include <unistd.h>

#include <cstdlib>

#include "runtime/os/text_buffer.hpp"

namespace weir::os {

void say(std::string_view sentence, Address at) noexcept {
  char memory[512];
  TextBuffer line(memory);
  line.add("weir: ").add(sentence);
  if (at != Address()) line.add(" (at ").add_hex(at.value()).add(')');
  line.add('\n');
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, memory, line.size());
}

void last_words(const char* sentence, Address at) noexcept {
  say(sentence, at);
  std::abort();
}

}  // namespace weir::os
