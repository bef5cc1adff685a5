// Old arrays of many references, and now and then a store into one at a random place: whoever scans
// the whole of an array for one store pays for it.
#include <utility>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Item {
  Item* next;
  std::uint64_t values[3];
  static constexpr std::uint64_t kReferences = 0b0001;
};
using Array = Item*;

constexpr unsigned kChain = 16;
constexpr unsigned kFilled = 64;  // one slot in so many refers to something from the start

Item* make_item(Mutator& mutator, std::uint64_t value) {
  Item* item = mutator.make<Item>();
  item->values[0] = value;
  return item;
}

void drop(Mutator& mutator, Item* chain, Checksum& sum) {
  while (chain != nullptr) {
    sum.add(chain->values[0]);
    mutator.release(std::exchange(chain, chain->next));
  }
}

Array** make_arrays(Mutator& mutator, std::uint64_t count, std::uint64_t length) {
  Array** arrays = mutator.make_array<Array*>(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    mutator.store(arrays, &arrays[i], mutator.make_array<Array>(length));
    for (std::uint64_t at = 0; at < length; at += kFilled)
      mutator.store(arrays[i], &arrays[i][at], make_item(mutator, at));
  }
  return arrays;
}

void finish(Mutator& mutator, Array** arrays, std::uint64_t count, std::uint64_t length,
            Checksum& sum) {
  for (std::uint64_t i = 0; i < count; ++i) {
    for (std::uint64_t at = 0; at < length; ++at) {
      mutator.beat();
      if (arrays[i][at] == nullptr) continue;
      sum.add(arrays[i][at]->values[0] + at);
      mutator.release(arrays[i][at]);
    }
    mutator.release(arrays[i]);
  }
  mutator.release(arrays);
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t count = options.whole("arrays");
  const std::uint64_t length = options.whole("length");
  const std::uint64_t period = options.whole("period");
  Random random(options.whole("seed"));
  Checksum sum;
  Array** arrays = make_arrays(mutator, count, length);
  Item* chain = nullptr;
  const std::uint64_t allocations = options.whole("allocations");
  for (std::uint64_t i = 1; i <= allocations; ++i) {
    Item* item = make_item(mutator, i);
    if (i % period == 0) {
      Array* array = arrays[random.below(count)];
      Array* slot = &array[random.below(length)];
      Item* replaced = *slot;
      mutator.store(array, slot, item);
      drop(mutator, replaced, sum);
    } else {
      item->next = chain;
      chain = item;
      if (i % kChain == 0) drop(mutator, std::exchange(chain, nullptr), sum);
    }
  }
  drop(mutator, chain, sum);
  finish(mutator, arrays, count, length, sum);
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("large_arrays",
                        {{"arrays", "8", "that live all the time"},
                         {"length", "1000000", "references in each"},
                         {"allocations", "8000000", "of small objects"},
                         {"period", "100", "one in so many is stored into an array"}},
                        argc, argv);
  return run(options, {}, work);
}
