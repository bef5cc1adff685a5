// fork(2) in a process with heaps: parent and child both go on with all of them, whatever the other
// threads were doing (docs/collector.md). This is the list of heaps, and what the handlers of
// pthread_atfork do with each.
#pragma once

namespace weir::collector {

class Heap;

class Forks {
 public:
  // As soon as a heap is whole, and before it is taken apart. A thread's mutators count as stopped
  // while it waits here.
  static void add(Heap& heap);
  static void remove(Heap& heap);

 private:
  template <class Visit>
  static void for_each_heap(Visit&& visit);
  static void resume();

  static void follow_forks();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
  // Everything of a heap that a thread without a mutator may be changing.
  static void lock_tables(Heap& heap);
  static void unlock_tables(Heap& heap);
  static void lose_threads(Heap& heap);

  struct Handlers;
  static Handlers handlers;
};

}  // namespace weir::collector
