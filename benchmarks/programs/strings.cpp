// Strings: most of what is allocated has no references at all. New ones are made of pieces of two
// old ones; most die at once, some replace an old one in a table.
#include <algorithm>
#include <cstring>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct String {
  char* bytes;
  std::uint64_t length, hash;
  static constexpr std::uint64_t kReferences = 0b001;
};

constexpr std::uint64_t kLongest = 1024;

String* make_string(Mutator& mutator, std::uint64_t length) {
  char* bytes = mutator.make_bytes(length);
  String* string = mutator.make<String>();
  string->bytes = bytes;
  string->length = length;
  return string;
}

void release(Mutator& mutator, String* string) {
  mutator.release(string->bytes);
  mutator.release(string);
}

std::uint64_t hash(const String* string) {
  std::uint64_t found = string->length, word = 0;
  for (std::uint64_t at = 0; at + 8 <= string->length; at += 64) {
    std::memcpy(&word, string->bytes + at, 8);
    found = (found ^ word) * 0x9e3779b97f4a7c15u;
  }
  return found ^ (found >> 29);
}

// The first half of the one and the second half of the other.
String* join(Mutator& mutator, const String* a, const String* b) {
  const std::uint64_t of_a = (a->length + 1) / 2, of_b = b->length - b->length / 2;
  String* made = make_string(mutator, of_a + of_b);
  std::memcpy(made->bytes, a->bytes, of_a);
  std::memcpy(made->bytes + of_a, b->bytes + b->length / 2, of_b);
  made->hash = hash(made);
  return made;
}

String* make_random(Mutator& mutator, Random& random) {
  const double share = random.share();  // short ones are many
  const std::uint64_t length =
      8 + static_cast<std::uint64_t>(share * share * share * (kLongest - 8));
  String* made = make_string(mutator, length);
  std::uint64_t word = random.next();
  for (std::uint64_t at = 0; at < length; at += 8, word = word * 5 + 1)
    std::memcpy(made->bytes + at, &word, std::min<std::uint64_t>(8, length - at));
  made->hash = hash(made);
  return made;
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t kept = options.whole("kept");
  const std::uint64_t period = options.whole("period");
  Random random(options.whole("seed"));
  Checksum sum;
  String** table = mutator.make_array<String*>(kept);
  for (std::uint64_t i = 0; i < kept; ++i)
    mutator.store(table, &table[i], make_random(mutator, random));
  const std::uint64_t strings = options.whole("strings");
  for (std::uint64_t i = 1; i <= strings; ++i) {
    const bool stays = i % period == 0;
    String* made = stays ? make_random(mutator, random)
                         : join(mutator, table[random.below(kept)], table[random.below(kept)]);
    sum.add(made->hash);
    if (stays) {
      const std::uint64_t at = random.below(kept);
      String* replaced = table[at];
      mutator.store(table, &table[at], made);
      made = replaced;
    }
    release(mutator, made);
  }
  for (std::uint64_t i = 0; i < kept; ++i) {
    sum.add(table[i]->hash);
    release(mutator, table[i]);
    mutator.beat();
  }
  mutator.release(table);
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("strings",
                        {{"kept", "100000", "strings in the table, of 8 to 1024 bytes"},
                         {"strings", "2000000", "that are made"},
                         {"period", "32", "one in so many replaces an old one"}},
                        argc, argv);
  return run(options, {}, work);
}
