// Fragmentation: objects of mixed sizes, of which most die and some stay, so that what is free is
// in holes; then objects of other sizes are wanted. In each round most of a table is forgotten at
// random and filled again, and the sizes that are many change from round to round.
#include <cstring>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Slot {
  Slot** references;  // one of them refers to the array itself
  char* bytes;        // or there are bytes
  std::uint64_t size, value;
  static constexpr std::uint64_t kReferences = 0b0011;
};

// Two thirds between half and all of a size that grows with the round, the rest anything; rarely
// much.
std::uint64_t random_size(Random& random, std::uint64_t round) {
  const std::uint64_t kind = random.below(256);
  if (kind == 0) return 8192 + random.below(57344);
  const std::uint64_t usual = std::uint64_t{32} << (round % 6);
  if (kind < 170) return usual / 2 + random.below(usual / 2 + 1);
  return 16 + random.below(std::uint64_t{16} << random.below(7));
}

Slot* make_slot(Mutator& mutator, Random& random, std::uint64_t round) {
  Slot* slot = mutator.make<Slot>();
  slot->size = (random_size(random, round) + 7) / 8 * 8;
  slot->value = random.next();
  if (slot->value % 2 == 0) {
    Slot** references = mutator.make_array<Slot*>(slot->size / 8);
    mutator.store(slot, &slot->references, references);
    references[slot->size / 8 - 1] = reinterpret_cast<Slot*>(references);
  } else {
    char* bytes = mutator.make_bytes(slot->size);
    std::memset(bytes, static_cast<int>(slot->value >> 8), slot->size);
    mutator.store(slot, &slot->bytes, bytes);
  }
  return slot;
}

std::uint64_t value_of(const Slot* slot) {
  if (slot->bytes != nullptr)
    return slot->value + static_cast<std::uint64_t>(slot->bytes[slot->size - 1]);
  const bool is_whole =
      slot->references[slot->size / 8 - 1] == reinterpret_cast<Slot*>(slot->references);
  return slot->value + (is_whole ? 1 : 0);
}

void release(Mutator& mutator, Slot* slot) {
  mutator.release(slot->references != nullptr ? static_cast<void*>(slot->references)
                                              : static_cast<void*>(slot->bytes));
  mutator.release(slot);
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t slots = options.whole("slots");
  const double dying = options.number("dying_percent") / 100;
  Random random(options.whole("seed"));
  Checksum sum;
  Slot** table = mutator.make_array<Slot*>(slots);
  const std::uint64_t rounds = options.whole("rounds");
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::uint64_t i = 0; i < slots; ++i) {
      mutator.beat();
      if (table[i] == nullptr || random.share() >= dying) continue;
      sum.add(value_of(table[i]));
      Slot* dead = table[i];
      mutator.store(table, &table[i], static_cast<Slot*>(nullptr));
      release(mutator, dead);
    }
    for (std::uint64_t i = 0; i < slots; ++i)
      if (table[i] == nullptr) mutator.store(table, &table[i], make_slot(mutator, random, round));
  }
  for (std::uint64_t i = 0; i < slots; ++i) {
    sum.add(value_of(table[i]));
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
  const Options options(
      "fragment",
      {{"slots", "200000", "of the table, each with an object of 8 bytes to 64 KiB"},
       {"rounds", "12", "of forgetting and filling"},
       {"dying_percent", "90", "of what is there, in each round"}},
      argc, argv);
  return run(options, {}, work);
}
