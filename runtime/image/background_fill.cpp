#include "runtime/image/background_fill.hpp"

#include <pthread.h>

#include <new>
#include <system_error>

#include "runtime/os/fault_gate.hpp"

namespace weir::image {

Expected<std::unique_ptr<BackgroundFill>> BackgroundFill::start(Image& image,
                                                                std::vector<std::uint32_t> first,
                                                                bool then_all) {
  std::unique_ptr<BackgroundFill> fill(new BackgroundFill(image, std::move(first), then_all));
  const os::BlockedSignals blocked;  // which the thread inherits
  try {
    fill->thread_ = std::thread([self = fill.get()] { self->run(); });
  } catch (const std::system_error& error) {
    return system_error(error.code().value(), "starting the thread that fills an image");
  }
  ::pthread_setname_np(fill->thread_.native_handle(), "weir-ahead");
  return fill;
}

BackgroundFill::~BackgroundFill() {
  is_ending_ = true;
  if (thread_.joinable()) thread_.join();
}

void BackgroundFill::after_fork_in_child() {
  new (&thread_) std::thread;  // nothing to join
  is_done_ = true;
}

void BackgroundFill::run() {
  const Pager::Ahead ahead;
  for (const std::uint32_t cluster : first_) {
    if (is_ending_) break;
    (void)image_.bring_in(image_.range_of(cluster));
  }
  for (std::uint32_t cluster = 0; then_all_ && cluster < image_.file().clusters(); ++cluster) {
    if (is_ending_) break;
    (void)image_.bring_in(image_.range_of(cluster));
  }
  is_done_ = true;
  is_done_.notify_all();
}

}  // namespace weir::image
