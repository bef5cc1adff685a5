// What the pages hold: made by arithmetic, so that the end of the story can be checked against what
// it should be. Every thread may call these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::cracauer {

using Word = std::uint64_t;

inline constexpr std::size_t words_in(std::size_t bytes) {
  return bytes / sizeof(Word);
}

// The first word of a page as it was saved, and as the story writes it.
inline constexpr Word saved_word(std::size_t page) {
  return 0xcafe'0000 | page;
}
inline constexpr Word written_word(std::size_t page) {
  return 0xbeef'0000 | page;
}

// `pages` pages, one after the other. They look like a heap of small objects: a few tags, small
// numbers, and now and then something that looks random.
std::vector<Word> make_pages(std::size_t pages, std::size_t page_size);

}  // namespace weir::cracauer
