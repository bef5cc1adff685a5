// The pages of a heap image, each cluster inflated when one of its pages is wanted first, and kept:
// once for all who are served, or for all comparisons of a client. One thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/image/cluster_reader.hpp"

namespace weir::manager {

class ImagePages {
 public:
  // Errors: those of opening it; unsupported, if it does not lie in one piece.
  static Expected<std::unique_ptr<ImagePages>> open(const std::string& path);

  // Where its objects refer to one another.
  Range range() const { return file_.directory().segments[0].saved; }
  std::size_t clusters() const { return present_; }  // that have objects
  std::size_t inflated() const { return inflated_; }

  // On the fault path [quiet-server]. False: it is damaged.
  bool read(std::size_t offset, std::span<std::byte> page) noexcept;
  std::uint64_t word_at(std::size_t offset) noexcept;  // 0, too, where it is damaged

 private:
  const std::byte* at(std::size_t offset) noexcept;  // nullptr: it is damaged
  ImagePages(image::ImageFile file, image::ClusterReader reader)
      : file_(std::move(file)), reader_(std::move(reader)) {}

  image::ImageFile file_;
  image::ClusterReader reader_;
  image::Conversion conversion_;
  os::OffHeapArray<bool> is_there_;     // by cluster
  os::OffHeapArray<std::byte> memory_;  // of all, touched as far as it is there
  std::size_t present_ = 0;
  std::size_t inflated_ = 0;
};

}  // namespace weir::manager
