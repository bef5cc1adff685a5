// What can go wrong, as a value: every fallible call of the C++ API returns Expected<T>.
//
// An Error is trivially copyable and is made without allocation, so that the fault path can make
// one. The sentence for a person is put together by message(), outside the fault path.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <weir/address.hpp>

namespace weir {

enum class ErrorCode {
  invalid_argument,  // a value that can never be right; `detail` names it and what is allowed
  misaligned,        // a range that is not made of whole pages
  not_registered,    // a range that is not (or not wholly) attached, registered or mapped
  busy,              // already attached or registered (EBUSY)
  no_permission,     // the kernel refused; the advice says how to get the right
  unsupported,       // this kernel, or this kind of memory, does not have it
  out_of_memory,     // no memory, no address space, or vm.max_map_count reached
  exists,            // the page is already there (EEXIST)
  again,             // the address space is changing; retry after draining events (EAGAIN)
  closed,            // the descriptor is gone, or belongs to another process
  self_test_failed,  // it opens, but it does not record what it should
  system,            // any other errno
};

// A short text inside an Error; longer ones are cut.
class ErrorText {
 public:
  constexpr ErrorText() = default;
  ErrorText(std::string_view text);
  ErrorText(const char* text) : ErrorText(std::string_view(text)) {}
  std::string_view view() const { return {text_, size_}; }

 private:
  char text_[159] = {};
  unsigned char size_ = 0;
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::system;
  int sys_errno = 0;        // 0 when no system call failed
  const char* what = "";    // what was being done, static storage
  const char* advice = "";  // what to do about it, static storage; may be empty
  Range where = {};         // the memory concerned; empty when none
  ErrorText detail = {};    // names and values; may be empty

  // One sentence: what failed, on what, why, and what to do. Allocates; not for the fault path.
  std::string message() const;
};

template <class T = void>
using Expected = tl::expected<T, Error>;
using Unexpected = tl::unexpected<Error>;

// For system calls: `sys_errno` decides the code, where the caller knows no better one.
Unexpected system_error(int sys_errno, const char* what, Range where = {}, const char* advice = "");
Unexpected fail(ErrorCode code, const char* what, ErrorText detail = {}, Range where = {},
                const char* advice = "");

}  // namespace weir
