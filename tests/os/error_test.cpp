#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <type_traits>
#include <weir/error.hpp>

namespace weir {
namespace {

static_assert(std::is_trivially_copyable_v<Error>, "the fault path copies errors");

TEST_CASE("a message says what failed, on what, why, and what to do") {
  Error error =
      system_error(EPERM, "opening a thing", Range{Address(0x1000), 0x2000}, "ask root").value();
  error.detail = "the device";
  CHECK(error.message() ==
        "opening a thing failed for [0x1000, 0x3000), 8192 bytes: not permitted (EPERM: Operation "
        "not permitted): the device; ask root");
}

TEST_CASE("a message leaves out what is not there") {
  const Unexpected error = fail(ErrorCode::unsupported, "opening a thing");
  CHECK(error.value().message() == "opening a thing failed: not supported here");
  CHECK(error.value().sys_errno == 0);
}

TEST_CASE("an errno nobody knows still makes a message") {
  const std::string text = system_error(4095, "trying").value().message();
  CHECK(text == "trying failed: system error (unknown errno: unknown error)");
}

TEST_CASE("the errno decides the code") {
  const auto code_of = [](int sys_errno) { return system_error(sys_errno, "").value().code; };
  CHECK(code_of(EINVAL) == ErrorCode::invalid_argument);
  CHECK(code_of(EBUSY) == ErrorCode::busy);
  CHECK(code_of(EPERM) == ErrorCode::no_permission);
  CHECK(code_of(EACCES) == ErrorCode::no_permission);
  CHECK(code_of(ENOSYS) == ErrorCode::unsupported);
  CHECK(code_of(ENOTTY) == ErrorCode::unsupported);
  CHECK(code_of(ENOMEM) == ErrorCode::out_of_memory);
  CHECK(code_of(EEXIST) == ErrorCode::exists);
  CHECK(code_of(EAGAIN) == ErrorCode::again);
  CHECK(code_of(EBADF) == ErrorCode::closed);
  CHECK(code_of(EIO) == ErrorCode::system);
}

TEST_CASE("every code has words of its own") {
  std::string seen;
  for (int code = 0; code <= static_cast<int>(ErrorCode::system); ++code) {
    const std::string text = fail(static_cast<ErrorCode>(code), "x").value().message();
    CHECK(text.find("unknown") == std::string::npos);
    CHECK(seen.find(text + "\n") == std::string::npos);
    seen += text + "\n";
  }
}

TEST_CASE("a detail that is too long is cut, not overrun") {
  const std::string most(159, 'd');
  CHECK(ErrorText(most).view() == most);
  CHECK(ErrorText(most + "e").view() == most);
  CHECK(ErrorText(std::string_view()).view().empty());
  CHECK(ErrorText("two words").view() == "two words");
  static_assert(sizeof(ErrorText) == 160);
}

}  // namespace
}  // namespace weir
