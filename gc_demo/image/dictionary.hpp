// What is saved: a hash table of words and their meanings, all of it objects of the heap. An
// interpreter's modules, strings and tables look much like it to a collector.
#pragma once

#include <weir/weir.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace weir::image_demo {

class Dictionary {
 public:
  // `count` words. The table is the root of all; it is kept by the caller.
  static void* build(weir_mutator* mutator, std::size_t count);
  // Empty: the word is not there.
  static std::string look_up(void* table, const std::string& word);
  // Puts another meaning in its place.
  static bool change(weir_mutator* mutator, void* table, const std::string& word,
                     const std::string& meaning);

  static std::string word(std::size_t number);
  static std::string meaning(std::size_t number);

 private:
  struct Entry;
  static Entry* find(void* table, const std::string& word);
};

}  // namespace weir::image_demo
