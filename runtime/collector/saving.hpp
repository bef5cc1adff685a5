// Saves a heap as an image: what its named roots reach, and all of the images that are open in it.
//
//   prepare()   before the world is stopped: encoders, the file, names and modules
//   run()       stopped, right after a full collection: marks what is to be saved in an epoch of
//               its own, and has all markers encode blocks
//   finish()    after it was resumed: tables, and the file gets its name
//
// Blocks are saved as they are, what is not reachable being zeros; objects keep their addresses
// (docs/image.md). Of an open image, clusters that were not written are copied as they are in its
// file.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/collector/images.hpp"
#include "runtime/image/codec.hpp"
#include "runtime/image/image_writer.hpp"
#include "runtime/image/modules.hpp"

namespace weir::collector {

class ClusterSaver;

struct SaveOptions {
  image::Codec codec = image::Codec::zlib;
  unsigned threads = 0;  // at most as many as mark; 0: those
  std::vector<std::pair<std::string, Address>> roots;
  std::vector<image::NamedRange> names;
  bool modules = true;  // slots that point into the program or its libraries are translated
  std::vector<std::byte> user_data;
};

class Saving {
 public:
  Saving(Heap& heap, const SaveOptions& options);
  ~Saving();

  Expected<> prepare(const std::string& path);
  void run();
  Expected<> finish();

 private:
  friend class ClusterSaver;
  // A range of clusters of the file that is to be.
  struct Part {
    Range range;                        // here
    Address saved;                      // in the file
    const weir_image* image = nullptr;  // nullptr: of the region
    std::size_t image_segment = 0;
    std::size_t first_cluster = 0;
  };

  Expected<> check_roots() const;
  Expected<> number_kinds();
  Expected<> place_outside();
  void add_outside(image::Outside outside, Range here);
  // What the file calls an address; nothing: it leads to what is not translated.
  std::optional<Address> to_saved(Address address);
  Address free_place(std::size_t bytes, Address wanted) const;
  void mark_reachable();
  void lay_out();
  void encode(unsigned worker);
  void fail_with(const Error& error);

  Heap& heap_;
  const SaveOptions& options_;
  std::size_t images_ = 0;  // that were open when it was prepared
  std::unique_ptr<image::ImageWriter> writer_;
  std::vector<std::unique_ptr<ClusterSaver>> savers_;  // by worker
  // Numbers of kinds in the file, by those of the heap.
  std::array<std::uint8_t, heap::Kinds::kMaxKinds + 1> number_of_{};
  std::vector<image::SavedKind> kinds_;
  std::vector<image::Outside> outside_;
  std::size_t known_outside_ = 0;                 // of outside_, the first: an open image's
  std::unique_ptr<std::atomic<bool>[]> is_used_;  // of outside_
  std::vector<Range> without_id_;                 // modules that nothing can be relative to
  image::Translation to_saved_;
  std::vector<Part> parts_;  // by saved address; room for the region's is made beforehand
  os::OffHeapArray<image::ClusterEntry> index_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> is_fixed_{false};
  std::atomic<bool> has_failed_{false};
  std::mutex error_lock_;
  Error error_;
};

}  // namespace weir::collector
