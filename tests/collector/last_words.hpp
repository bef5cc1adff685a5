// What a process says before it ends itself.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "tests/os/child.hpp"

namespace weir::test {

inline bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

#ifndef __SANITIZE_THREAD__  // whose processes do not fork once they have threads
// What a process that calls body() writes to stderr; "" if it does not abort.
template <class Body>
std::string last_words_of(Body&& body) {
  const int file = ::memfd_create("stderr", 0);
  REQUIRE(file >= 0);
  const ChildResult result = in_child([&](const auto&) {
    ::dup2(file, STDERR_FILENO);
    body();
    return 0;
  });
  char text[512];
  const ssize_t length = ::pread(file, text, sizeof text, 0);
  ::close(file);
  return result.signal == SIGABRT ? std::string(text, static_cast<std::size_t>(length)) : "";
}
#endif

}  // namespace weir::test
