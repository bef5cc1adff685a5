// Saves a heap as an image: what its named roots reach, and all of the images that are open in it.
//
//   prepare()   before the world is stopped: encoders, the file, names and modules
//   run()       stopped, right after a full collection: marks what is to be saved in an epoch of
//               its own, and has all markers encode blocks
//   finish()    after it was resumed: tables, and the file gets its name
//
// Blocks are saved as they are, what is not reachable being zeros; objects keep their addresses
// (docs/image.md). Of an open image, clusters that were not written are copied as they are in its
// file (SaveLayout says of which).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/collector/compaction.hpp"
#include "runtime/collector/save_layout.hpp"
#include "runtime/image/codec.hpp"
#include "runtime/image/image_writer.hpp"

namespace weir::collector {

class ClusterSaver;

struct SaveOptions {
  image::Codec codec = image::Codec::zlib;
  std::size_t cluster_bytes = 0;  // 0: as the first image that is open has them, or a block
  unsigned threads = 0;           // at most as many as mark; 0: those
  std::vector<std::pair<std::string, Address>> roots;
  std::vector<image::NamedRange> names;
  bool modules = true;  // slots that point into the program or its libraries are translated
  std::vector<std::byte> user_data;
  bool compact = false;              // only what the roots reach, of images too, moved together
  weir_progress progress = nullptr;  // called by the thread that saves, the world stopped
  void* progress_data = nullptr;
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
  Expected<> check_roots() const;
  Expected<image::ClusterSize> cluster_size() const;
  void mark_reachable();
  void compact();
  std::optional<Address> to_saved(Address address);
  void lay_out();
  void make_index();
  void tell_progress(std::size_t done) const;
  void encode(unsigned worker);
  void fail_with(const Error& error);
  void count_objects(image::Header& header, std::vector<image::SavedCount>& counts) const;

  Heap& heap_;
  const SaveOptions& options_;
  std::size_t images_ = 0;  // that were open when it was prepared
  std::size_t kinds_ = 0;   // that were defined then
  std::unique_ptr<image::ImageWriter> writer_;
  std::vector<std::unique_ptr<ClusterSaver>> savers_;  // by worker
  SaveLayout layout_;
  std::optional<Compaction> compaction_;
  os::OffHeapArray<image::ClusterEntry> index_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> is_fixed_{false};
  std::atomic<bool> has_failed_{false};
  std::mutex error_lock_;
  Error error_;
};

}  // namespace weir::collector
