// "EPERM" and "Operation not permitted" for an errno: static storage, no locale, no allocation.
#pragma once

#include <cstring>

namespace weir::os {

inline const char* errno_name(int sys_errno) {
  const char* name = ::strerrorname_np(sys_errno);
  return name != nullptr ? name : "unknown errno";
}
inline const char* errno_text(int sys_errno) {
  const char* text = ::strerrordesc_np(sys_errno);
  return text != nullptr ? text : "unknown error";
}

}  // namespace weir::os
