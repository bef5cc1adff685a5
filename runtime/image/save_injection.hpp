// Where the tests end a save, or have it fail: a hook that is normally absent, one relaxed load.
#pragma once

#include <atomic>

namespace weir::image {

struct SaveInjection {
  // Before each step that a crash could come between: "write", "header", "fsync", "rename",
  // "fsync folder".
  using Hook = void (*)(const char* step);
  static inline std::atomic<Hook> before{nullptr};

  static void at(const char* step) noexcept {
    if (const Hook hook = before.load(std::memory_order_relaxed); hook != nullptr) hook(step);
  }
};

}  // namespace weir::image
