// Threads that allocate at once, each for itself: a table of what lives, one random slot of which
// is replaced now and then, and short chains that die. Each does the same amount of work, so with
// enough cores more threads take no longer.
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Item {
  Item* next;
  std::uint64_t values[3];
  static constexpr std::uint64_t kReferences = 0b0001;
};

constexpr unsigned kChain = 16;

void drop(Mutator& mutator, Item* chain, Checksum& sum) {
  while (chain != nullptr) {
    sum.add(chain->values[0]);
    mutator.release(std::exchange(chain, chain->next));
  }
}

Item* make_item(Mutator& mutator, std::uint64_t value) {
  Item* item = mutator.make<Item>();
  item->values[0] = value;
  return item;
}

std::uint64_t work_of_one(Mutator& mutator, const Options& options, std::uint64_t seed) {
  const std::uint64_t kept = options.whole("kept");
  const std::uint64_t period = options.whole("period");
  Random random(seed);
  Checksum sum;
  Item** table = mutator.make_array<Item*>(kept);
  for (std::uint64_t i = 0; i < kept; ++i)
    mutator.store(table, &table[i], make_item(mutator, random.next()));
  Item* chain = nullptr;
  const std::uint64_t allocations = options.whole("allocations");
  for (std::uint64_t i = 1; i <= allocations; ++i) {
    Item* item = make_item(mutator, random.next());
    if (i % period == 0) {
      Item** slot = &table[random.below(kept)];
      Item* replaced = *slot;
      mutator.store(table, slot, item);
      drop(mutator, replaced, sum);
    } else {
      item->next = chain;
      chain = item;
      if (i % kChain == 0) drop(mutator, std::exchange(chain, nullptr), sum);
    }
  }
  drop(mutator, chain, sum);
  for (std::uint64_t i = 0; i < kept; ++i) {
    drop(mutator, table[i], sum);
    mutator.beat();
    mutator.safepoint();
  }
  mutator.release(table);
  return sum.value();
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t mutators = options.whole("mutators");
  const std::uint64_t seed = options.whole("seed");
  std::vector<std::uint64_t> sums(mutators);
  std::vector<std::thread> threads;
  for (std::uint64_t i = 1; i < mutators; ++i)
    threads.emplace_back([&, i] {
      Mutator own(mutator.heap());
      own.begin_repetition();
      sums[i] = work_of_one(own, options, seed + i);
      own.end_repetition();
    });
  sums[0] = work_of_one(mutator, options, seed);
  mutator.without_heap([&] {
    for (std::thread& thread : threads) thread.join();
  });
  Checksum sum;
  for (const std::uint64_t one : sums) sum.add(one);
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("threads",
                        {{"mutators", "2", "threads that allocate"},
                         {"kept", "50000", "objects that live, of each"},
                         {"allocations", "10000000", "of each"},
                         {"period", "64", "one in so many replaces an old one"}},
                        argc, argv);
  return run(options, {.mutators = static_cast<unsigned>(options.whole("mutators"))}, work);
}
