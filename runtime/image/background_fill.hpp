// A thread that brings clusters of an image in before anybody touches them: those of a hot list, in
// its order, then perhaps all others. It ends by itself; what is damaged is left to who touches it.
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
  // There is no thread, and there will be none: a child inflates nothing ahead.
  void after_fork_in_child();
  void wait() const { is_done_.wait(false); }  // until it has done all it is to do

 private:
  BackgroundFill(Image& image, std::vector<std::uint32_t> first, bool then_all)
      : image_(image), first_(std::move(first)), then_all_(then_all) {}
  void run();

  Image& image_;
  const std::vector<std::uint32_t> first_;
  const bool then_all_;
  std::atomic<bool> is_ending_{false};
  std::atomic<bool> is_done_{false};
  std::thread thread_;
};

}  // namespace weir::image
