// Brings the threads of all worlds to where fork(2) may copy them: no thread but the forking one is
// inside the runtime, and none gets in until the fork is over.
//
//   begin    the forking thread counts as stopped from here on, and may wait for anything
//   stop     threads that poll stop. Then the gate is closed, at which whoever enters the runtime
//            waits; those that signals stop are stopped, which happens outside of the runtime only,
//            and run on at once
//   ...      fork
//   resume   the gate opens, everybody runs
//   end
//
// Threads that signals stop must run on, since fork(2) takes malloc's lock after all handlers, and
// one of them may have it. So the child finds them at any instruction outside of the runtime, as a
// stop by a signal would; what they wrote up to there is in its memory, and nothing later: the
// kernel lets no page be written that it has copied, until it has copied all.
//
// By the forking thread, from its handlers of pthread_atfork, in parent and child alike. Whoever
// calls it keeps other forks, and other stops of these worlds, out.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/os/function_ref.hpp"

namespace weir::threads {

class World;

class ForkStop {
 public:
  // Calls its argument for each world.
  using Worlds = os::FunctionRef<void(os::FunctionRef<void(World&)>)>;

  // Once, before the caller's own pthread_atfork: those of this layer and below must be registered
  // earlier, so that their locks are taken later.
  static void follow_forks();

  // Whether the calling thread is inside the runtime: it has a world stopped, or a signal handler
  // of the program interrupted it there.
  static bool is_inside_runtime();

  static void begin();
  static void stop(Worlds worlds);
  // In the child: the worlds that the calling thread is in, known to the caller or not, have lost
  // their other threads, one that had such a world stopped among them.
  static void after_fork_in_child();
  static void resume(Worlds worlds);
  static void end();

  // For HostThread.
  static bool is_gate_closed() { return gate.load(std::memory_order_relaxed) != 0; }
  static void wait_at_gate();

 private:
  static std::atomic<std::uint32_t> gate;  // 1: closed; a futex
};

}  // namespace weir::threads
