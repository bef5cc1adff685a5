#include "gc_demo/manager/content.hpp"

#include <cstring>

#include "runtime/os/page_size.hpp"

namespace weir::manager {
namespace {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Words {
 public:
  Words(const Content& content, std::size_t page)
      : state_(content.seed ^ (static_cast<std::uint64_t>(content.client + 1) << 40) ^ page << 8) {
    state_ = next();
  }
  std::uint64_t next() {
    std::uint64_t word = state_ += 0x9e3779b97f4a7c15;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace

bool Content::make(std::size_t page, std::span<std::byte> bytes) const {
  if (image != nullptr) return image->read(page * bytes.size(), bytes);
  Words words(*this, page);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = words.next();
    std::memcpy(&bytes[at], &word, sizeof word);
  }
  return true;
}

std::uint64_t Content::mark(std::size_t page) const {
  if (image != nullptr) return ~image->word_at(page * os::page_size());
  return ~Words(*this, page).next();
}

}  // namespace weir::manager
