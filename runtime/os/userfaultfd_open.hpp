// One rung of the ladder by which a userfaultfd is opened, for the builder and for the probe. Any
// thread.
#pragma once

#include <array>
#include <weir/userfaultfd.hpp>

namespace weir::os {

inline constexpr std::array kUffdLadder = {UffdOpenPath::device, UffdOpenPath::system_call,
                                           UffdOpenPath::user_mode_only};

// A descriptor without the API handshake, or a negative errno. `flags`: O_CLOEXEC, O_NONBLOCK.
int open_userfaultfd(UffdOpenPath path, int flags);

// The handshake: agrees on `features`; returns all the kernel has and the descriptor's ioctls.
struct UffdAgreement {
  UffdFeatures available;
  UffdIoctls ioctls;
};
Expected<UffdAgreement> agree_on(int fd, UffdFeatures features);

}  // namespace weir::os
