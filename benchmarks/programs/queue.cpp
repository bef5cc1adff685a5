// A queue: what comes in first goes out first, and nothing dies young. Each object lives for as
// many allocations as the queue is long, which is what a generational collector is worst at: it
// copies nothing here, but it looks at everything once, and keeps what is dead until a full
// collection.
#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Entry {
  Entry* next;
  std::uint64_t values[3];
  static constexpr std::uint64_t kReferences = 0b0001;
};

class Queue {
 public:
  explicit Queue(Mutator& mutator) : mutator_(mutator) {}

  void push(std::uint64_t value) {
    Entry* entry = mutator_.make<Entry>();
    entry->values[0] = value;
    if (last_ == nullptr)
      first_ = entry;
    else
      mutator_.store(last_, &last_->next, entry);
    last_ = entry;
  }
  std::uint64_t pop() {
    Entry* entry = first_;
    const std::uint64_t value = entry->values[0];
    first_ = entry->next;
    if (first_ == nullptr) last_ = nullptr;
    mutator_.release(entry);
    return value;
  }
  bool is_empty() const { return first_ == nullptr; }

 private:
  Mutator& mutator_;
  Entry* first_ = nullptr;
  Entry* last_ = nullptr;
};

std::uint64_t work(Mutator& mutator, const Options& options) {
  Random random(options.whole("seed"));
  Checksum sum;
  Queue queue(mutator);
  const std::uint64_t length = options.whole("length");
  for (std::uint64_t i = 0; i < length; ++i) queue.push(random.next());
  const std::uint64_t allocations = options.whole("allocations");
  for (std::uint64_t i = 0; i < allocations; ++i) {
    queue.push(random.next());
    sum.add(queue.pop());
  }
  while (!queue.is_empty()) {
    sum.add(queue.pop());
    mutator.beat();
  }
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options(
      "queue",
      {{"length", "1000000", "of the queue"}, {"allocations", "8000000", "after it is filled"}},
      argc, argv);
  return run(options, {}, work);
}
