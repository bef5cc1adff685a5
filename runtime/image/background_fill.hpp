// Threads that bring clusters of an image in before anybody touches them: those of a hot list, in
// its order, then perhaps all others. Several, so that they get ahead of who runs into them in the
// same order. They end by themselves; what is damaged is left to who touches it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/image/image.hpp"

namespace weir::image {

class BackgroundFill {
 public:
  // The image outlives it.
  static Expected<std::unique_ptr<BackgroundFill>> start(Image& image,
                                                         std::vector<std::uint32_t> first,
                                                         bool then_all);
  ~BackgroundFill();
  // There are no threads, and there will be none: a child inflates nothing ahead.
  void after_fork_in_child();

 private:
  BackgroundFill(Image& image, std::vector<std::uint32_t> first, bool then_all)
      : image_(image),
        first_(std::move(first)),
        count_(first_.size() + (then_all ? image.file().clusters() : 0)) {}
  void run();

  Image& image_;
  const std::vector<std::uint32_t> first_;
  const std::size_t count_;  // of steps: the first, then all
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> is_ending_{false};
  std::vector<std::thread> threads_;
};

}  // namespace weir::image
