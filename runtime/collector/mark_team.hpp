// The threads that mark beside the collecting one. Started when first needed, before a world is
// stopped (a thread cannot be made while others may hold malloc's lock); they take no signals.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#include <weir/error.hpp>

#include "runtime/os/function_ref.hpp"

namespace weir::collector {

class MarkTeam {
 public:
  explicit MarkTeam(unsigned size) : size_(size) {}  // the caller of run() included
  ~MarkTeam();

  unsigned size() const { return size_; }
  // Fewer threads than wanted: the team is as large as it could be made.
  void start();
  // work(i) for each i below `members` (size() or 1), work(0) by the caller; returns when all have.
  void run(unsigned members, os::FunctionRef<void(unsigned)> work);
  // There are no threads; start() makes new ones. The team was idle.
  void after_fork_in_child();

 private:
  void member(unsigned index);

  unsigned size_;
  std::vector<std::thread> threads_;
  std::mutex lock_;
  std::condition_variable changed_;
  const os::FunctionRef<void(unsigned)>* work_ = nullptr;
  unsigned round_ = 0;
  unsigned busy_ = 0;
  bool ending_ = false;
};

}  // namespace weir::collector
