#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <weir/error.hpp>

#include "runtime/os/errno_name.hpp"

namespace weir {
namespace {

ErrorCode code_of(int sys_errno) {
  switch (sys_errno) {
    case EINVAL:
      return ErrorCode::invalid_argument;
    case EBUSY:
      return ErrorCode::busy;
    case EPERM:
    case EACCES:
      return ErrorCode::no_permission;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOTTY:
      return ErrorCode::unsupported;
    case ENOMEM:
      return ErrorCode::out_of_memory;
    case EEXIST:
      return ErrorCode::exists;
    case EAGAIN:
      return ErrorCode::again;
    case EBADF:
    case ESRCH:
      return ErrorCode::closed;
    default:
      return ErrorCode::system;
  }
}

const char* text_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid argument";
    case ErrorCode::misaligned:
      return "not made of whole pages";
    case ErrorCode::not_registered:
      return "not, or not wholly, registered or mapped";
    case ErrorCode::busy:
      return "already in use";
    case ErrorCode::no_permission:
      return "not permitted";
    case ErrorCode::unsupported:
      return "not supported here";
    case ErrorCode::out_of_memory:
      return "out of memory or address space";
    case ErrorCode::exists:
      return "already there";
    case ErrorCode::again:
      return "the address space is changing";
    case ErrorCode::closed:
      return "the descriptor is closed, or another process's";
    case ErrorCode::self_test_failed:
      return "the self-test failed";
    case ErrorCode::system:
      return "system error";
  }
  return "unknown error";
}

}  // namespace

ErrorText::ErrorText(std::string_view text) {
  size_ = static_cast<unsigned char>(std::min(text.size(), sizeof text_));
  std::copy_n(text.data(), size_, text_);
}

// <what> failed [for <range>]: <why> [(ERRNO: its text)][: <detail>][; <advice>]
std::string Error::message() const {
  std::string sentence = what;
  sentence += " failed";
  if (!where.empty()) {
    char range[80];
    std::snprintf(range, sizeof range, " for [0x%" PRIxPTR ", 0x%" PRIxPTR "), %zu bytes",
                  where.begin.value(), where.end().value(), where.size);
    sentence += range;
  }
  sentence.append(": ").append(text_of(code));
  if (sys_errno != 0)
    sentence.append(" (")
        .append(os::errno_name(sys_errno))
        .append(": ")
        .append(os::errno_text(sys_errno))
        .append(")");
  if (!detail.view().empty()) sentence.append(": ").append(detail.view());
  if (*advice != '\0') sentence.append("; ").append(advice);
  return sentence;
}

Unexpected system_error(int sys_errno, const char* what, Range where, const char* advice) {
  return Unexpected(Error{code_of(sys_errno), sys_errno, what, advice, where, {}});
}

Unexpected fail(ErrorCode code, const char* what, ErrorText detail, Range where,
                const char* advice) {
  return Unexpected(Error{code, 0, what, advice, where, detail});
}

}  // namespace weir
