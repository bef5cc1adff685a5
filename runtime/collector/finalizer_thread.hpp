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
  // Some are due. Any thread that may lock.
  void wake();

 private:
  void run();

  Heap& heap_;
  std::thread thread_;
  std::mutex lock_;
  std::condition_variable changed_;
  bool is_due_ = false;
  bool ending_ = false;
};

}  // namespace weir::collector
