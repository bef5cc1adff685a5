// Which pages of an image may refer to objects outside of it: those that were written, ever, and
// still do. A full cycle scans all of them (a clean one may hold the only reference to an object
// that was young long ago), a minor one those that were written since the last. A page leaves when
// a scan finds that it leads nowhere outside. What was never filled is never looked at
// [lazy-stays-lazy].
//
// The collecting thread, the world stopped.
#pragma once

#include <memory>
#include <vector>

#include "runtime/barrier/unit_bits.hpp"
#include "runtime/image/image.hpp"

namespace weir::image {

class EscapedPages {
 public:
  // `barrier` is the one that watches the image; nullptr: nobody does, and everything that is there
  // counts as written each time. Both outlive it.
  static Expected<std::unique_ptr<EscapedPages>> create(const Image& image,
                                                        barrier::Barrier* barrier);

  // Answers whether the page refers out of the image.
  using Scan = os::FunctionRef<bool(Range page)>;
  void scan_written(Scan scan);
  void scan_all(Scan scan);
  // visit(page) for each that is in the set now.
  void for_each(os::FunctionRef<void(Range page)> visit) const;
  std::size_t size() const;

  // Whether something in a cluster that is filled was ever written: its bytes in the file are out
  // of date. Where nobody tells of all writes, it may have been.
  bool is_modified(std::size_t cluster) const {
    return barrier_ == nullptr || barrier_->traits().needs_calls || modified_.test(cluster);
  }

 private:
  EscapedPages(const Image& image, barrier::Barrier* barrier, std::size_t unit_bytes)
      : image_(image), barrier_(barrier), unit_bytes_(unit_bytes) {}
  void take(std::size_t segment, os::FunctionRef<void(Range page)> written);
  void add(std::size_t segment, Range page);
  void for_each_of(std::size_t segment, os::FunctionRef<void(Range page)> visit) const;
  void judge(std::size_t segment, Range page, Scan scan);
  std::size_t unit_of(std::size_t segment, Address address) const;

  const Image& image_;
  barrier::Barrier* barrier_;
  const std::size_t unit_bytes_;
  std::vector<barrier::UnitBits> escaped_;  // by segment
  barrier::UnitBits modified_;              // by cluster of the image
};

}  // namespace weir::image
