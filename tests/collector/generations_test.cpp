// What minor collections promise, under every barrier: an old object's references to young ones are
// found wherever the slot is, and old memory that nobody writes to costs nothing.
#include <sys/resource.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/barrier/fault_injection.hpp"
#include "runtime/collector/heap.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/collector/rig.hpp"
#include "tests/os/child.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Cell {
  Cell* next;
  std::uint64_t value;
};

class Generations {
 public:
  Generations(const weir_config& config) : heap(config), mutator(heap, kPrecise) {}

  Cell* cell(Cell* next, std::uint64_t value) {
    auto* made = static_cast<Cell*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Cell)));
    REQUIRE(made != nullptr);
    *made = {next, value};
    return made;
  }
  void** table(std::size_t slots) {
    void* made = weir_allocate(mutator, WEIR_KIND_SLOTS, slots * sizeof(void*));
    REQUIRE(made != nullptr);
    return static_cast<void**>(made);
  }
  void store(void** slot, void* object) {
    *slot = object;
    weir_write_barrier(mutator, nullptr, slot);
  }
  void minor() { REQUIRE(weir_collect_minor(mutator) == WEIR_OK); }
  // Allocates over whatever was freed by mistake.
  void churn(std::size_t bytes) {
    for (std::size_t i = 0; i < bytes / 32; ++i) cell(nullptr, ~std::uint64_t{0} >> 1);
  }
  barrier::Barrier const& barrier() const { return *collector::Heap::of(heap).barrier(); }

  TestHeap heap;
  TestMutator mutator;
};

void under_every_barrier(bool verify, const std::function<void(Generations&)>& body) {
  for (const weir_barrier barrier : kBarriers) {
    weir_config config = small_heap();
    config.barrier = barrier;
    config.verify = verify;
    if (!TestHeap::can_be_made(config)) continue;
    Generations generations(config);
    CAPTURE(weir_heap_barrier(generations.heap));
    body(generations);
  }
}

}  // namespace

TEST_CASE("56: references from old to young, at every distance") {
  under_every_barrier(true, [](Generations& g) {
    constexpr std::size_t kSlots = 300'000;
    static void* from_static_data[1];
    from_static_data[0] = nullptr;  // the heap before had the same addresses, perhaps
    REQUIRE(weir_roots_add(g.heap, from_static_data, 1) == WEIR_OK);
    TestFrame<4> frame(g.mutator);
    frame[0] = g.cell(nullptr, 1);
    frame[1] = g.table(kSlots);
    // Far away from those: another arena.
    frame[2] = weir_allocate(g.mutator, WEIR_KIND_LEAF, std::size_t{40} << 20);
    frame[3] = g.table(100);
    g.minor();

    auto* old = static_cast<Cell*>(frame[0]);
    auto** large = static_cast<void**>(frame[1]);
    auto** far = static_cast<void**>(frame[3]);
    for (std::uint64_t round = 1; round <= 4; ++round) {
      std::vector<void**> slots = {reinterpret_cast<void**>(&old->next), far, far + 99, large,
                                   large + kSlots - 1};
      for (std::size_t i = 511; i < kSlots; i += 50'000) slots.push_back(large + i);
      for (std::size_t i = 0; i < slots.size(); ++i)
        g.store(slots[i], g.cell(g.cell(nullptr, round * 2000 + i), round * 1000 + i));
      from_static_data[0] = g.cell(nullptr, round);

      std::atomic<bool> is_blocked{false}, is_over{false};
      std::thread other([&] {
        const TestMutator mutator(g.heap, kConservative);
        auto* mine = static_cast<Cell*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Cell)));
        mine->value = round;
        weir_enter_blocking(mutator);
        is_blocked = true;
        while (!is_over) std::this_thread::yield();
        weir_leave_blocking(mutator);
        CHECK(mine->value == round);
      });
      while (!is_blocked) std::this_thread::yield();
      if (round != 3)
        g.minor();
      else
        collect(g.mutator);
      g.churn(std::size_t{1} << 20);
      is_over = true;
      weir_enter_blocking(g.mutator);
      other.join();
      weir_leave_blocking(g.mutator);
      for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto* cell = static_cast<const Cell*>(*slots[i]);
        REQUIRE(cell->value == round * 1000 + i);
        REQUIRE(cell->next->value == round * 2000 + i);
      }
      CHECK(static_cast<const Cell*>(from_static_data[0])->value == round);
    }
    REQUIRE(weir_roots_remove(g.heap, from_static_data) == WEIR_OK);
  });
}

TEST_CASE("57: allocation beside old objects; what those refer to survives") {
  under_every_barrier(true, [](Generations& g) {
    Random random(seed_for("beside old objects"));
    constexpr std::size_t kKept = 2000;
    TestFrame<1> frame(g.mutator);
    frame[0] = g.table(kKept);
    auto** kept = static_cast<void**>(frame[0]);
    // One survivor in eight, so that every block has holes.
    for (std::size_t i = 0; i < kKept; ++i) {
      g.store(&kept[i], g.cell(nullptr, i));
      for (int dead = 0; dead < 7; ++dead) g.cell(nullptr, 0);
    }
    g.minor();
    for (std::uint64_t round = 1; round <= 10; ++round) {
      for (int i = 0; i < 500; ++i) {
        auto* old = static_cast<Cell*>(kept[random() % kKept]);
        g.store(reinterpret_cast<void**>(&old->next), g.cell(nullptr, old->value + round));
        g.churn(512);
      }
      if (round % 5 == 0)
        collect(g.mutator);
      else
        g.minor();
      g.churn(std::size_t{256} << 10);
      for (std::size_t i = 0; i < kKept; ++i) {
        const auto* old = static_cast<const Cell*>(kept[i]);
        REQUIRE(old->value == i);
        if (old->next != nullptr) REQUIRE(old->next->value - i - 1 < round);
      }
    }
  });
}

TEST_CASE("old memory that nobody writes to: no trap, no scan, no system call per block") {
  under_every_barrier(false, [](Generations& g) {
    if (std::string(weir_heap_barrier(g.heap)) == "always-dirty") return;
    constexpr std::size_t kBytes = std::size_t{24} << 20;
    TestFrame<1> frame(g.mutator);
    Cell* chain = nullptr;
    for (std::size_t i = 0; i < kBytes / 16; ++i) {
      chain = g.cell(chain, i);
      frame[0] = chain;
    }
    collect(g.mutator);
    g.minor();  // the block that was left half full
    for (int round = 0; round < 10; ++round) {
      const BarrierCounters before = g.barrier().counters();
      g.churn(std::size_t{2} << 20);
      g.minor();
      const weir_statistics now = g.heap.statistics();
      const BarrierCounters after = g.barrier().counters();
      CHECK(now.pages_dirty == 0);
      CHECK(now.pages_armed * g.barrier().traits().granularity >= kBytes - (1 << 20));
      CHECK(after.traps == before.traps);
      CHECK(after.system_calls - before.system_calls <= 12);  // 384 blocks are old
    }
  });
}

TEST_CASE("blocks whose holes are allocated into in each cycle are not armed in between") {
  under_every_barrier(true, [](Generations& g) {
    if (std::string(weir_heap_barrier(g.heap)) == "always-dirty") return;
    const auto armed_bytes = [&] {
      return g.heap.statistics().pages_armed * g.barrier().traits().granularity;
    };
    constexpr std::size_t kKept = 40'000;
    TestFrame<1> frame(g.mutator);
    Cell* chain = nullptr;
    for (std::size_t i = 0; i < kKept; ++i) {
      chain = g.cell(chain, i);
      frame[0] = chain;
      for (int dead = 0; dead < 15; ++dead) g.cell(nullptr, 0);
    }
    collect(g.mutator);
    const std::size_t all = armed_bytes();
    REQUIRE(all > std::size_t{4} << 20);
    for (int round = 0; round < 4; ++round) {
      g.churn(std::size_t{4} << 20);  // 2 MiB, into holes
      g.minor();
      CHECK(armed_bytes() < all - (std::size_t{1} << 20));
    }
    // Nobody allocates there any more.
    for (int round = 0; round < 2; ++round) g.minor();
    CHECK(armed_bytes() > all - (std::size_t{1} << 18));
    std::size_t left = kKept;
    for (const Cell* cell = chain; cell != nullptr; cell = cell->next)
      REQUIRE(cell->value == --left);
    CHECK(left == 0);
  });
}

// One page in a thousand is not reported: the verifier sees it within ten seconds of CPU time.
TEST_CASE("a barrier that loses a write is caught") {
  static std::atomic<std::size_t> pages;  // reported
  for (const weir_barrier barrier : {WEIR_BARRIER_ASYNC, WEIR_BARRIER_MPROTECT}) {
    weir_config config = small_heap();
    config.barrier = barrier;
    config.verify = true;
    if (!TestHeap::can_be_made(config)) continue;
    const std::uint64_t seed = seed_for("a barrier that loses writes");
    const ChildResult child = in_child([&](const auto& say) {
      const rlimit ten_seconds{10, 10};
      ::setrlimit(RLIMIT_CPU, &ten_seconds);
      (void)!std::freopen("/dev/null", "w", stderr);
      barrier::FaultInjection::report = [](Range run) {
        const std::size_t count = run.size / os::page_size();
        const std::size_t before = pages.fetch_add(count);
        return before / 1000 != (before + count) / 1000;
      };
      constexpr std::size_t kTables = 2000;
      Generations g(config);
      Random random(seed);
      TestFrame<1> frame(g.mutator);
      frame[0] = g.table(kTables);
      auto** tables = static_cast<void**>(frame[0]);
      for (std::size_t i = 0; i < kTables; ++i) g.store(&tables[i], g.table(256));
      g.minor();
      for (int cycle = 0;; ++cycle) {
        for (int i = 0; i < 200; ++i)
          g.store(static_cast<void**>(tables[random() % kTables]) + random() % 256,
                  g.cell(nullptr, 0));
        say(".");
        g.minor();
      }
      return 0;
    });
    CHECK(child.signal == SIGABRT);
    CHECK(child.text.size() > 1);  // it took some cycles
  }
}

// A thread in which the fault's signal was blocked would end the process.
TEST_CASE("threads of the runtime's own run into faults: markers, and who runs finalizers") {
  for (const weir_arena arena : {WEIR_ARENA_FRESH, WEIR_ARENA_MISSING_WP}) {
    for (const weir_barrier barrier : kBarriers) {
      weir_config config = small_heap();
      config.barrier = barrier;
      config.arena = arena;
      config.markers = 4;
      const bool is_by_userfaultfd = barrier <= WEIR_BARRIER_UFFD_SIGBUS;
      if (arena == WEIR_ARENA_MISSING_WP && !is_by_userfaultfd) continue;
      if (!TestHeap::can_be_made(config)) continue;
      const ChildResult child = in_child([&](const auto&) {
        Generations g(config);
        TestFrame<2> frame(g.mutator);
        // Nothing was ever there: who reads it, fills it.
        frame[0] = g.table(std::size_t{4} << 20);
        frame[1] = g.cell(nullptr, 0);
        collect(g.mutator);
        // Old and armed by now. Its finalizer, on the runtime's thread, writes to it.
        REQUIRE(weir_finalizer_thread(g.heap, true) == WEIR_OK);
        static std::atomic<bool> is_over;
        is_over = false;
        const auto write = [](weir_mutator*, void* object, void*) {
          static_cast<Cell*>(object)->value = 1;
          is_over = true;
        };
        REQUIRE(weir_finalizer_set(g.mutator, frame[1], write, nullptr) == WEIR_OK);
        frame[1] = nullptr;
        collect(g.mutator);
        weir_enter_blocking(g.mutator);
        while (!is_over) std::this_thread::yield();
        weir_leave_blocking(g.mutator);
        return 0;
      });
      CAPTURE(barrier);
      CAPTURE(arena);
      CHECK_MESSAGE(child.exit_code == 0, child.text);
    }
  }
}

TEST_CASE("a heap without generations collects everything, by either call") {
  weir_config config = small_heap();
  config.generations = false;
  Generations g(config);
  CHECK(std::string(weir_heap_barrier(g.heap)) == "none");
  g.minor();
  collect(g.mutator);
  const weir_statistics now = g.heap.statistics();
  CHECK(now.full_collections == 2);
  CHECK(now.minor_collections == 0);
}
