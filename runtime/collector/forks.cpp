#include "runtime/collector/forks.hpp"

#include <pthread.h>

#include <utility>

#include "runtime/collector/heap.hpp"
#include "runtime/observe/trace_file.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/threads/fork_stop.hpp"

namespace weir::collector {
namespace {

using threads::ForkStop;
using threads::HostThread;

constinit std::mutex heaps_lock;
constinit Heap* heaps = nullptr;

}  // namespace

void Forks::add(Heap& heap) {
  const HostThread::Parked parked(HostThread::current());
  const std::lock_guard guard(heaps_lock);
  heap.next_heap_ = std::exchange(heaps, &heap);
}

void Forks::remove(Heap& heap) {
  const HostThread::Parked parked(HostThread::current());
  const std::lock_guard guard(heaps_lock);
  Heap** link = &heaps;
  while (*link != nullptr && *link != &heap) link = &(*link)->next_heap_;
  if (*link != nullptr) *link = heap.next_heap_;
}

template <class Visit>
void Forks::for_each_heap(Visit&& visit) {
  for (Heap* heap = heaps; heap != nullptr; heap = heap->next_heap_) visit(*heap);
}

// The layers below come first, so that their locks are taken after the threads were stopped. Before
// main, so that the program's handlers prepare while all threads still run: what they wait for may
// be held by one that Weir stops.
struct Forks::Handlers {
  Handlers() {
    ForkStop::follow_forks();
    ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  }
};
Forks::Handlers Forks::handlers;

void Forks::before_fork() {
  const bool is_inside = ForkStop::is_inside_runtime() || is_tracing();
  ForkStop::begin();
  heaps_lock.lock();
  if (heaps == nullptr) {  // worlds without heaps are their owners' affair
    ForkStop::end();
    return observe::TraceFile::before_fork();
  }
  if (is_inside)
    os::last_words(
        "fork(2) inside a callback of a collection, or in a signal handler that interrupted the "
        "runtime: a child would have a heap half collected. Use posix_spawn, or fork elsewhere");
  // No collection begins from here on, and none is under way. All of these before anything is
  // stopped: who collects one heap may be a mutator of another.
  for_each_heap([](Heap& heap) { heap.cycle_lock_.lock(); });
  ForkStop::stop([](os::FunctionRef<void(threads::World&)> visit) {
    for_each_heap([&](Heap& heap) { visit(heap.world_); });
  });
  for_each_heap(lock_tables);
  observe::TraceFile::before_fork();
}

void Forks::after_fork_in_parent() {
  for_each_heap([](Heap& heap) { heap.finalizer_thread_.after_fork_in_parent(); });
  resume();
}

void Forks::after_fork_in_child() {
  for_each_heap(lose_threads);
  ForkStop::after_fork_in_child();
  resume();
}

void Forks::resume() {
  observe::TraceFile::after_fork();
  const bool is_stopped = heaps != nullptr;
  if (is_stopped) {
    for_each_heap(unlock_tables);
    ForkStop::resume([](os::FunctionRef<void(threads::World&)> visit) {
      for_each_heap([&](Heap& heap) { visit(heap.world_); });
    });
    for_each_heap([](Heap& heap) { heap.cycle_lock_.unlock(); });
  }
  heaps_lock.unlock();
  if (is_stopped) ForkStop::end();
}

void Forks::lock_tables(Heap& heap) {
  heap.lock_.lock();
  heap.space_->lock().lock();
  heap.roots_.lock().lock();
  heap.weak_cells_.lock().lock();
  heap.ephemerons_.lock().lock();
  heap.finalizers_.lock().lock();
  heap.finalizer_thread_.before_fork();
}

void Forks::unlock_tables(Heap& heap) {
  heap.finalizers_.lock().unlock();
  heap.ephemerons_.lock().unlock();
  heap.weak_cells_.lock().unlock();
  heap.roots_.lock().unlock();
  heap.space_->lock().unlock();
  heap.lock_.unlock();
}

void Forks::lose_threads(Heap& heap) {
  heap.space_->open_pagemap();
  heap.world_.after_fork_in_child();
  for (Mutator* mutator : heap.mutators_) {
    if (mutator->is_attached()) continue;
    mutator->abandon();  // nothing, for those that were detached before
    heap.allocated_ += mutator->take_allocated();
  }
  heap.team_.after_fork_in_child();
  heap.images_.after_fork_in_child();
  heap.finalizer_thread_.after_fork_in_child();
}

}  // namespace weir::collector
