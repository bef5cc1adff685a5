#include "gc_demo/cracauer/content.hpp"

namespace weir::cracauer {

std::vector<Word> make_pages(std::size_t pages, std::size_t page_size) {
  std::vector<Word> words;
  words.reserve(pages * words_in(page_size));
  Word random = 1;
  for (std::size_t page = 0; page < pages; ++page) {
    words.push_back(saved_word(page));
    for (std::size_t i = 1; i < words_in(page_size); ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const Word tag = random >> 62;
      words.push_back(i % 8 == 0 ? random : (tag << 32) | (random >> 56));
    }
  }
  return words;
}

}  // namespace weir::cracauer
