// The real-time signal that stops threads which do not poll. One per process, whatever the number
// of worlds; its handler stays once it is installed.
#pragma once

#include <sys/types.h>

#include <weir/error.hpp>

namespace weir::threads {

struct StopSignal {
  // Installs the handler, if that is not done yet. Errors: busy (somebody else handles it),
  // invalid_argument (WEIR_STOP_SIGNAL).
  static Expected<> install();

  // In the calling thread.
  static void unblock();

  // To a thread of this process. 0, or an errno: EAGAIN if the queue of signals is full, ESRCH if
  // the thread is gone. A signal too many is harmless. Async-signal-safe.
  static int send(pid_t thread);
};

}  // namespace weir::threads
