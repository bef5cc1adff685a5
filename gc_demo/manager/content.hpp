// What the pages hold: made by arithmetic from the run's seed, the client and the page, or those of
// a heap image; so manager and clients know it without telling each other. Allocates nothing; one
// thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "gc_demo/manager/image_pages.hpp"
#include "runtime/faults/postcopy_source.hpp"

namespace weir::manager {

struct Content {
  std::uint64_t seed;
  std::size_t client;
  ImagePages* image = nullptr;  // all clients have the same pages then

  bool make(std::size_t page, std::span<std::byte> bytes) const;  // false: damaged
  // What a client writes over the first word of a page; never what was there.
  std::uint64_t mark(std::size_t page) const;
};

// The manager's side of it: where missing pages come from.
class ContentPages final : public faults::PageContents {
 public:
  explicit ContentPages(Content content) : content_(content) {}
  const Content& content() const { return content_; }
  bool read(std::size_t offset, std::span<std::byte> page) noexcept override {
    return content_.make(offset / page.size(), page);
  }

 private:
  Content content_;
};

}  // namespace weir::manager
