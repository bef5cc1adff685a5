// The images that are open in a heap: a generation of their own, whose objects live as long as the
// heap. A collection looks at their written pages only (image::EscapedPages), and marks nothing
// there.
//
// Images are added by one thread at a time that has the turn to collect; looked up by anybody.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "runtime/collector/scope.hpp"
#include "runtime/collector/tracer.hpp"
#include "runtime/faults/fault_server.hpp"
#include "runtime/image/background_fill.hpp"
#include "runtime/image/escaped_pages.hpp"
#include "runtime/image/image.hpp"

struct weir_image {
  std::unique_ptr<weir::image::Image> image;
  std::unique_ptr<weir::image::EscapedPages> escaped;
  std::unique_ptr<weir::image::BackgroundFill> background;  // ends first
};

namespace weir::collector {

class Heap;
class Marker;

enum class Filling { lazy, eager, eager_verified, background };

struct OpenOptions {
  Filling filling = Filling::lazy;
  std::vector<image::NamedRange> names;
  std::string hot_list;  // a path; empty: none
};

class Images {
 public:
  static constexpr std::size_t kMost = 16;

  explicit Images(Heap& heap) : heap_(heap) {}
  ~Images();

  Expected<weir_image*> open(const std::string& path, const OpenOptions& options);
  std::size_t size() const { return count_.load(std::memory_order_acquire); }
  weir_image& operator[](std::size_t index) const { return *images_[index]; }
  // The image that an address lies in; nullptr: none.
  image::Image* find(Address address) const;
  // Brings in what lies in images of a range. Errors: those of Image::bring_in.
  Expected<> prefault(Range range) const;

  void after_fork_in_child();

  // -- The world stopped --
  // What may refer to something that the cycle is to mark. Answers how many bytes that were.
  std::size_t scan(Marker& marker, Scope scope);
  // Every reference into the heap, from all that is filled: what scan() must not miss.
  void for_each_edge(os::FunctionRef<void(Address object, Address slot, Address target)> edge);

 private:
  Expected<faults::FaultServer*> server();
  Expected<> fill(weir_image& opened, const OpenOptions& options) const;
  Expected<> fill_all(image::Image& image, Filling filling) const;

  Heap& heap_;
  std::unique_ptr<faults::FaultServer> own_server_;  // where the barrier has none
  std::array<std::unique_ptr<weir_image>, kMost> images_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace weir::collector
