// A thread of Weir's that runs finalizers as they become due, as a mutator of the heap.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <weir/error.hpp>

namespace weir::collector {

class Heap;

class FinalizerThread {
 public:
  explicit FinalizerThread(Heap& heap) : heap_(heap) {}
  ~FinalizerThread() { stop(); }

  Expected<> start();
  void stop();  // after what it is running
  bool is_running() const { return thread_.joinable(); }
  bool is_current() const { return thread_.get_id() == std::this_thread::get_id(); }
  // Some are due. Any thread that may lock, and make a thread.
  void wake();

  // Around a fork(2). In the child the thread starts anew when it is woken, unless it was the one
  // that forked.
  void before_fork() { lock_.lock(); }
  void after_fork_in_parent() { lock_.unlock(); }
  void after_fork_in_child();

 private:
  Expected<> start_locked();
  void run();

  Heap& heap_;
  std::thread thread_;
  std::mutex lock_;
  std::condition_variable changed_;
  bool is_due_ = false;
  bool ending_ = false;
  bool is_lost_ = false;  // in a fork
};

}  // namespace weir::collector
