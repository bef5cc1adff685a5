// Which mutators are at home on which thread, so that a thread that ends takes its own along; and
// the lock under which lists of mutators change, so that a fork never meets one half changed. For
// World and HostThread, inside a Section.
#pragma once

#include <pthread.h>

#include <mutex>

#include "runtime/threads/host_thread.hpp"

namespace weir::threads {

class World;

struct Registry {
  static Registry& the();

  // When the calling thread ends, its mutators are given to their owners.
  void call_at_exit(HostThread& host);

  void add(World& world, MutatorThread& mutator, HostThread& host);
  void remove(World& world, MutatorThread& mutator);
  bool is_home(HostThread& host) { return first_at_home(host) != nullptr; }
  void move(MutatorThread& mutator, HostThread& to);

 private:
  Registry();
  static void on_thread_exit(void* host);
  MutatorThread* first_at_home(HostThread& host);
  static void go_home(MutatorThread& mutator, HostThread& host);
  static void leave_home(MutatorThread& mutator);

  std::mutex lock_;
  pthread_key_t key_;
};

}  // namespace weir::threads
