#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/collector/mark_work.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::collector;

namespace {

constexpr std::size_t kNodes = 40'000;
constexpr std::size_t kGranule = 16;

// Every third node is a part of a large object: a pair of words, of which the second tells whether
// they were torn apart.
bool is_part(std::size_t node) {
  return node % 3 == 0;
}
std::size_t offset_of(std::size_t node) {
  return (node * 0x9e3779b97f4a7c15u & ~MarkWord::kTags) | 4;
}
void push(MarkStack& stack, std::size_t node) {
  if (is_part(node))
    stack.push_part(Address(node * kGranule), offset_of(node));
  else
    stack.push(node * kGranule);
}

struct Item {
  std::uintptr_t address;
  std::size_t offset;  // 0: not a part
};
Item pop(MarkStack& stack) {
  MarkStack::Cursor cursor(stack);
  const std::uintptr_t word = cursor.pop();
  const Item item = MarkWord::tag(word) == MarkWord::part
                        ? Item{MarkWord::address(word).value(), cursor.pop()}
                        : Item{word, 0};
  cursor.store(stack);
  return item;
}

// Node 1 is the root. Children of a node are found through lists.
struct Tree {
  std::vector<std::vector<std::size_t>> children{kNodes + 1};
  explicit Tree(test::Random& random) {
    // From a chain, where nothing can be shared, to a star.
    const std::size_t reach = std::size_t{1} << random() % 17;
    for (std::size_t node = 2; node <= kNodes; ++node)
      children[node - 1 - random() % std::min(node - 1, reach)].push_back(node);
  }
};

struct Run {
  const Tree& tree;
  std::unique_ptr<std::atomic<unsigned char>[]> seen {
    new std::atomic<unsigned char>[ kNodes + 1 ]()
  };
  std::atomic<std::size_t> torn{0};

  void work(MarkPool& pool, unsigned markers) {
    MarkStack stack(pool);
    do {
      while (!stack.is_empty()) {
        const Item item = pop(stack);
        const std::size_t node = item.address / kGranule;
        if (node == 0 || node > kNodes || item.address % kGranule != 0 ||
            item.offset != (is_part(node) ? offset_of(node) : 0)) {
          ++torn;
          continue;
        }
        ++seen[node];
        for (const std::size_t child : tree.children[node]) push(stack, child);
        stack.share();
      }
    } while (stack.refill(markers));
  }
};

}  // namespace

TEST_CASE("what is pushed is popped, whole, the latest first") {
  test::Random random(test::seed_for("mark stack"));
  MarkPool pool;
  MarkStack stack(pool);
  std::vector<std::size_t> pushed;
  // What is in the pool comes back in packets, in an order of its own.
  for (std::size_t node = 1; node <= kNodes; ++node) {
    push(stack, node);
    pushed.push_back(node);
    if (random() % 4 == 0 && !stack.is_empty()) {
      const Item item = pop(stack);
      REQUIRE(item.address == pushed.back() * kGranule);
      REQUIRE(item.offset == (is_part(pushed.back()) ? offset_of(pushed.back()) : 0));
      pushed.pop_back();
    }
  }
  std::vector<std::size_t> popped;
  do {
    while (!stack.is_empty()) {
      const Item item = pop(stack);
      const std::size_t node = item.address / kGranule;
      REQUIRE(item.offset == (is_part(node) ? offset_of(node) : 0));
      popped.push_back(node);
    }
  } while (stack.refill(1));
  std::ranges::sort(popped);
  CHECK(popped == pushed);
}

TEST_CASE("markers share all work, do each piece once, and all end") {
  test::Random random(test::seed_for("marking together"));
  MarkPool pool;
  for (const unsigned markers : {1, 2, 3, 8}) {
    for (std::size_t round = 0; round < test::scaled(20); ++round) {
      const Tree tree(random);
      Run run{tree};
      pool.restart();
      {
        MarkStack roots(pool);
        push(roots, 1);
        roots.flush();
      }
      std::vector<std::thread> threads;
      for (unsigned i = 1; i < markers; ++i) threads.emplace_back([&] { run.work(pool, markers); });
      run.work(pool, markers);
      for (std::thread& thread : threads) thread.join();
      CHECK(run.torn == 0);
      std::size_t wrong = 0;
      for (std::size_t node = 1; node <= kNodes; ++node) wrong += run.seen[node] != 1;
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a marker that waits is given the older half, and no pair is torn") {
  test::Random random(test::seed_for("sharing"));
  for (std::size_t round = 0; round < test::scaled(200); ++round) {
    MarkPool pool;
    std::vector<std::size_t> given;
    std::thread waiting([&] {
      MarkStack stack(pool);
      while (stack.refill(2))
        while (!stack.is_empty()) given.push_back(pop(stack).address / kGranule);
    });
    while (!pool.is_anyone_waiting()) std::this_thread::yield();
    MarkStack stack(pool);
    const std::size_t count = 20 + random() % 300;
    // Of one kind or the other at the cut.
    const std::size_t first = 1 + random() % 1000;
    for (std::size_t i = 0; i < count; ++i) push(stack, first + i);
    stack.share();
    std::vector<std::size_t> kept;
    while (!stack.is_empty()) {
      const Item item = pop(stack);
      const std::size_t node = item.address / kGranule;
      CHECK(item.offset == (is_part(node) ? offset_of(node) : 0));
      kept.push_back(node);
    }
    // The other may not be awake yet, and its half is there for whoever asks.
    std::vector<std::size_t> taken_back;
    while (stack.refill(2))
      while (!stack.is_empty()) taken_back.push_back(pop(stack).address / kGranule);
    waiting.join();
    given.insert(given.end(), taken_back.begin(), taken_back.end());
    CHECK(kept.size() + given.size() == count);
    REQUIRE_FALSE(given.empty());
    REQUIRE_FALSE(kept.empty());
    CHECK(std::ranges::max(given) < std::ranges::min(kept));
  }
}
