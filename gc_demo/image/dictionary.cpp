#include "gc_demo/image/dictionary.hpp"

#include <cstring>
#include <iterator>

namespace weir::image_demo {

struct Dictionary::Entry {
  Entry* next;
  char* word;
  char* meaning;
};

namespace {

constexpr std::size_t kBuckets = 4096;

void** buckets(void* table) {
  return static_cast<void**>(table);
}

std::uint64_t hash_of(const std::string& word) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

char* make_text(weir_mutator* mutator, const std::string& text) {
  auto* memory = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_LEAF, text.size() + 1));
  if (memory != nullptr) std::memcpy(memory, text.c_str(), text.size() + 1);
  return memory;
}

}  // namespace

std::string Dictionary::word(std::size_t number) {
  constexpr const char* kSyllables[] = {"ba", "de", "ki", "lo", "mu", "na", "ro", "si",
                                        "ta", "ve", "wu", "xo", "ya", "ze", "fi", "gu"};
  std::string word;
  for (std::size_t rest = number * 2654435761u % 0x100000000u + number; word.size() < 12;
       rest /= 16)
    word += kSyllables[rest % std::size(kSyllables)];
  return word + std::to_string(number % 10);
}

std::string Dictionary::meaning(std::size_t number) {
  return "the " + std::to_string(number) + "th word, and akin to " + word(number * 7 % 1000003);
}

void* Dictionary::build(weir_mutator* mutator, std::size_t count) {
  void* slots[3] = {};
  weir_frame frame{nullptr, std::size(slots), slots};
  weir_frame_enter(mutator, &frame);
  slots[0] = weir_allocate(mutator, WEIR_KIND_SLOTS, kBuckets * sizeof(void*));
  for (std::size_t number = 0; number < count && slots[0] != nullptr; ++number) {
    const std::string text = word(number);
    slots[1] = make_text(mutator, text);
    slots[2] = make_text(mutator, meaning(number));
    auto* entry = static_cast<Entry*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Entry)));
    if (entry == nullptr || slots[1] == nullptr || slots[2] == nullptr) slots[0] = nullptr;
    if (slots[0] == nullptr) break;
    void** bucket = &buckets(slots[0])[hash_of(text) % kBuckets];
    *entry = {static_cast<Entry*>(*bucket), static_cast<char*>(slots[1]),
              static_cast<char*>(slots[2])};
    *bucket = entry;
    weir_write_barrier(mutator, slots[0], bucket);
  }
  weir_frame_leave(mutator, &frame);
  return slots[0];
}

Dictionary::Entry* Dictionary::find(void* table, const std::string& word) {
  auto* entry = static_cast<Entry*>(buckets(table)[hash_of(word) % kBuckets]);
  while (entry != nullptr && word != entry->word) entry = entry->next;
  return entry;
}

std::string Dictionary::look_up(void* table, const std::string& word) {
  const Entry* entry = find(table, word);
  return entry != nullptr ? entry->meaning : "";
}

bool Dictionary::change(weir_mutator* mutator, void* table, const std::string& word,
                        const std::string& meaning) {
  char* text = make_text(mutator, meaning);
  Entry* entry = find(table, word);
  if (text == nullptr || entry == nullptr) return false;
  entry->meaning = text;
  weir_write_barrier(mutator, entry, &entry->meaning);
  return true;
}

}  // namespace weir::image_demo
