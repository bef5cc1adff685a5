// Heap images in C++: a heap on disk, opened lazily. See weir.h for what each call does.
//
//   weir::ImageWriting writing;
//   writing.root("globals", globals).save(mutator, "app.image").value();
//   ...
//   auto image = weir::Image::open(heap, "app.image").value();
//   Globals* globals = image.root<Globals>("globals").value();
#pragma once

#include <weir/weir.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>
#include <weir/error.hpp>
#include <weir/heap.hpp>
#include <weir/status.hpp>

namespace weir {

// An image that is open in a heap, and ends with it. A plain value.
class Image {
 public:
  static Expected<Image> open(const Heap& heap, const std::string& path,
                              const weir_image_open_config& config = {}) {
    weir_image* image = nullptr;
    if (auto opened = checked(weir_image_open(heap.get(), path.c_str(), &config, &image)); !opened)
      return Unexpected(opened.error());
    return Image(image);
  }

  weir_image* get() const { return image_; }
  // nullptr where the root was saved so. Error not_registered: it has no root of this name.
  template <class T = void>
  Expected<T*> root(const std::string& name) const {
    void* object = nullptr;
    if (auto found = checked(weir_image_root_get(image_, name.c_str(), &object)); !found)
      return Unexpected(found.error());
    return static_cast<T*>(object);
  }
  std::span<const std::byte> user_data() const {
    std::size_t bytes = 0;
    const void* data = weir_image_user_data(image_, &bytes);
    return {static_cast<const std::byte*>(data), bytes};
  }
  weir_image_statistics statistics() const {
    weir_image_statistics statistics;
    weir_image_get_statistics(image_, &statistics);
    return statistics;
  }
  Expected<> write_hot_list(const std::string& path) const {
    return checked(weir_image_hot_list(image_, path.c_str()));
  }

 private:
  explicit Image(weir_image* image) : image_(image) {}
  weir_image* image_;
};

// What is to be saved, and how.
class ImageWriting {
 public:
  ImageWriting() { weir_image_save_config_init(&config_); }

  // `name` outlives the call of save(); the object is kept by somebody until then.
  ImageWriting& root(const char* name, void* object) {
    roots_.push_back({name, object});
    return *this;
  }
  ImageWriting& name(const char* name, const void* begin, std::size_t bytes) {
    names_.push_back({name, begin, bytes});
    return *this;
  }
  ImageWriting& user_data(std::span<const std::byte> data) {
    config_.user_data = data.data();
    config_.user_bytes = data.size();
    return *this;
  }
  ImageWriting& codec(weir_codec codec) {
    config_.codec = codec;
    return *this;
  }
  ImageWriting& cluster_bytes(std::size_t bytes) {
    config_.cluster_bytes = bytes;
    return *this;
  }
  ImageWriting& compact() {
    config_.compact = true;
    return *this;
  }
  ImageWriting& progress(weir_progress called, void* data) {
    config_.progress = called;
    config_.progress_data = data;
    return *this;
  }
  // [collects]
  Expected<> save(const Mutator& mutator, const std::string& path) {
    config_.roots = roots_.data();
    config_.root_count = roots_.size();
    config_.names = names_.data();
    config_.name_count = names_.size();
    return checked(weir_image_save(mutator.get(), path.c_str(), &config_));
  }

 private:
  weir_image_save_config config_;
  std::vector<weir_image_root> roots_;
  std::vector<weir_image_name> names_;
};

}  // namespace weir
