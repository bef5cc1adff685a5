#include "runtime/image/background_fill.hpp"

#include <pthread.h>

#include <algorithm>
#include <new>
#include <system_error>

#include "runtime/os/fault_gate.hpp"

namespace weir::image {

Expected<std::unique_ptr<BackgroundFill>> BackgroundFill::start(Image& image,
                                                                std::vector<std::uint32_t> first,
                                                                bool then_all) {
  std::unique_ptr<BackgroundFill> fill(new BackgroundFill(image, std::move(first), then_all));
  // At most half as many as there are decoders on a large machine: the rest is for who waits.
  const unsigned threads = std::clamp(std::thread::hardware_concurrency() / 2, 2u, 8u);
  const os::BlockedSignals blocked;  // which the threads inherit
  for (unsigned i = 0; i < threads; ++i) {
    try {
      fill->threads_.emplace_back([self = fill.get()] { self->run(); });
    } catch (const std::system_error& error) {
      if (i > 0) break;  // fewer do it, too
      return system_error(error.code().value(), "starting the threads that fill an image");
    }
    ::pthread_setname_np(fill->threads_.back().native_handle(), "weir-ahead");
  }
  return fill;
}

BackgroundFill::~BackgroundFill() {
  is_ending_ = true;
  for (std::thread& thread : threads_) thread.join();
}

void BackgroundFill::after_fork_in_child() {
  new (&threads_) std::vector<std::thread>;  // nothing to join
}

void BackgroundFill::run() {
  const Pager::Ahead ahead;
  for (std::size_t step = next_.fetch_add(1); step < count_ && !is_ending_;
       step = next_.fetch_add(1))
    (void)image_.bring_in(
        image_.range_of(step < first_.size() ? first_[step] : step - first_.size()));
}

}  // namespace weir::image
