// Old objects that are written while young ones are allocated: what a write barrier is paid for. A
// heap of twice its minimum, so many writes for each allocation, to targets that are equally likely
// or follow Zipf's law, in a heap that was built in the order of its addresses or not; and as much
// allocation as fills what is free so many times.
#include <utility>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Young {
  Young* next;
  std::uint64_t values[3];
  static constexpr std::uint64_t kReferences = 0b0001;
};

struct Old {
  Old* neighbour;
  Young* young;
  std::uint64_t values[6];
  static constexpr std::uint64_t kReferences = 0b00000011;
};

constexpr std::size_t kBytesOfOne = sizeof(Old) + sizeof(Young) + sizeof(Old*);

Young* make_young(Mutator& mutator, std::uint64_t value) {
  Young* young = mutator.make<Young>();
  young->values[0] = value;
  return young;
}

class Writes {
 public:
  Writes(Mutator& mutator, const Options& options)
      : mutator_(mutator),
        random_(options.whole("seed")),
        count_((options.whole("live_mib") << 20) / kBytesOfOne),
        rate_(options.number("rate")),
        store_(options.word("store")),
        is_zipf_(options.word("targets") == "zipf"),
        is_shuffled_(options.word("shape") == "random") {}

  // What is old from now on: a table of all, neighbours that are so in memory or anywhere.
  void build() {
    table_ = mutator_.make_array<Old*>(count_);
    for (std::uint64_t i = 0; i < count_; ++i) {
      Old* old = mutator_.make<Old>();
      mutator_.store(table_, &table_[i], old);
      mutator_.store(old, &old->young, make_young(mutator_, i));
    }
    if (is_shuffled_) shuffle();
    for (std::uint64_t i = 0; i < count_; ++i) {
      Old* old = table_[i];
      mutator_.store(old, &old->neighbour, table_[(i + 1) % count_]);
      mutator_.beat();
    }
  }

  void allocate(std::uint64_t allocations) {
    if (store_ == "young")
      allocate_and(allocations, [this](std::uint64_t i) { store_young(i); });
    else if (store_ == "old")
      allocate_and(allocations, [this](std::uint64_t i) { store_old(i); });
    else
      allocate_and(allocations, [this](std::uint64_t i) { store_number(i); });
  }

  std::uint64_t finish() {
    for (std::uint64_t i = 0; i < count_; ++i) {
      Old* old = table_[i];
      sum_.add(old->young->values[0]);
      sum_.add(old->neighbour->young == nullptr ? 0 : old->values[1]);
      mutator_.beat();
    }
    for (std::uint64_t i = 0; kFrees && i < count_; ++i) {
      mutator_.release(table_[i]->young);
      mutator_.release(table_[i]);
    }
    mutator_.release(table_);
    return sum_.value();
  }

 private:
  static constexpr unsigned kChain = 16;

  void shuffle() {
    for (std::uint64_t i = count_ - 1; i > 0; --i) {
      const std::uint64_t other = random_.below(i + 1);
      Old* old = table_[i];
      mutator_.store(table_, &table_[i], table_[other]);
      mutator_.store(table_, &table_[other], old);
      mutator_.beat();
    }
  }

  Old* target() { return table_[is_zipf_ ? random_.zipf_below(count_) : random_.below(count_)]; }

  // Each allocation begins or prolongs a chain that is dropped soon; `write` does its own.
  template <class Write>
  void allocate_and(std::uint64_t allocations, const Write& write) {
    Young* chain = nullptr;
    double due = 0;
    for (std::uint64_t i = 1; i <= allocations; ++i) {
      due += rate_;
      if (due >= 1) {
        due -= 1;
        write(i);
        mutator_.long_beat();
        if (store_makes_one_) continue;
      }
      Young* young = make_young(mutator_, i);
      young->next = chain;
      chain = young;
      if (i % kChain == 0) drop(std::exchange(chain, nullptr));
    }
    drop(chain);
  }

  void drop(Young* chain) {
    while (chain != nullptr) {
      Young* young = chain;
      sum_.add(young->values[0]);
      chain = young->next;
      mutator_.release(young);
    }
  }

  void store_young(std::uint64_t value) {
    Young* young = make_young(mutator_, value);
    Old* old = target();
    Young* replaced = old->young;
    sum_.add(replaced->values[0]);
    mutator_.store(old, &old->young, young);
    mutator_.release(replaced);
  }
  void store_old(std::uint64_t) {
    Old* old = target();
    mutator_.store(old, &old->neighbour, target());
  }
  void store_number(std::uint64_t value) { target()->values[1] = value; }

  Mutator& mutator_;
  Random random_;
  Checksum sum_;
  std::uint64_t count_;
  double rate_;
  std::string store_;
  bool is_zipf_, is_shuffled_;
  bool store_makes_one_ = store_ == "young";
  Old** table_ = nullptr;
};

std::size_t live_bytes(const Options& options) {
  return static_cast<std::size_t>(options.whole("live_mib")) << 20;
}

std::uint64_t work(Mutator& mutator, const Options& options) {
  Writes writes(mutator, options);
  writes.build();
  writes.allocate(options.whole("cycles") * live_bytes(options) / sizeof(Young));
  return writes.finish();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("scattered_writes",
                        {{"live_mib", "16", "of old objects, in a heap of twice that"},
                         {"cycles", "24", "how often what is free is filled"},
                         {"rate", "0.01", "writes to old objects for each allocation, 0 to 1"},
                         {"store",
                          "young",
                          "references to objects of that age, or numbers",
                          {"young", "old", "number"}},
                         {"targets", "uniform", "how they are chosen", {"uniform", "zipf"}},
                         {"shape",
                          "order",
                          "of the heap: built in the order of allocation or not",
                          {"order", "random"}}},
                        argc, argv);
  return run(options, {.bytes = 2 * live_bytes(options)}, work);
}
