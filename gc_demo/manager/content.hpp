// What the pages hold: made by arithmetic from the run's seed, the client and the page, so that
// manager and clients know it without telling each other. Allocates nothing; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/faults/postcopy_source.hpp"

namespace weir::manager {

struct Content {
  std::uint64_t seed;
  std::size_t client;

  void make(std::size_t page, std::span<std::byte> bytes) const;
  // What a client writes over the first word of a page; never what was there.
  std::uint64_t mark(std::size_t page) const;
};

// The manager's side of it: where missing pages come from.
class GeneratedPages final : public faults::PageContents {
 public:
  explicit GeneratedPages(Content content) : content_(content) {}
  const Content& content() const { return content_; }
  bool read(std::size_t offset, std::span<std::byte> page) noexcept override {
    content_.make(offset / page.size(), page);
    return true;
  }

 private:
  Content content_;
};

}  // namespace weir::manager
