// fork(2) in a process with heaps: parent and child go on with what they have, each against the
// oracle of its graphs.
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/collector/graph.hpp"
#include "tests/os/child.hpp"
#include "tests/support/setting.hpp"

#ifndef __SANITIZE_THREAD__  // which cannot fork a process with threads

using namespace weir::test;

namespace {

// AddressSanitizer does not take its malloc's locks around a fork, so a child may find one locked
// by a thread that it does not have. Threads that poll are stopped outside of malloc.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kNoForkDuringMalloc = true;
#else
constexpr bool kNoForkDuringMalloc = false;
#endif

// How long a fork takes once Weir is prepared for it, so that all threads get to where they may: by
// a handler that prepares later, since it was registered earlier.
std::atomic<unsigned> fork_delay_us{0};

[[gnu::constructor(102)]] void linger() {
  ::pthread_atfork([] { ::usleep(fork_delay_us); }, nullptr, nullptr);
}

// The children of a test, which run beside it.
class Children {
 public:
  ~Children() { reap(0); }

  // Forks, and runs body(), which returns whether all is well, in the child.
  template <class Body>
  void fork(Body&& body) {
    reap(1);
    std::fflush(nullptr);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::alarm(120);
      std::signal(SIGABRT, SIG_DFL);
      bool is_well = false;
      try {
        is_well = body();
      } catch (...) {  // a REQUIRE
      }
      std::fflush(nullptr);
      ::_exit(is_well ? 0 : 1);
    }
    running_.push_back(child);
  }

  // Until there are no more than `left`. The caller is no mutator, or in a blocking region.
  void reap(std::size_t left) {
    for (; running_.size() > left; running_.pop_front()) {
      int status = -1;
      CHECK(::waitpid(running_.front(), &status, 0) == running_.front());
      CHECK(status == 0);
    }
  }

 private:
  std::deque<pid_t> running_;
};

class Blocking {
 public:
  explicit Blocking(weir_mutator* mutator) : mutator_(mutator) { weir_enter_blocking(mutator_); }
  ~Blocking() { weir_leave_blocking(mutator_); }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

 private:
  weir_mutator* mutator_;
};

void work(Graph& graph, std::size_t steps) {
  for (std::size_t step = 0; step < steps; ++step) graph.step();
  graph.collect_and_check();
}

// A thread of the child's own, and a heap of its own.
void work_beside(weir_heap* heap, weir_mutator* mutator, const weir_mutator_config& config,
                 const Kinds& kinds, std::uint64_t seed) {
  std::thread other([&] {
    const TestMutator late(heap, config);
    Graph graph(late, kinds, !config.conservative_stack, false, seed);
    work(graph, 300);
    graph.collect_and_check();
  });
  {
    const Blocking blocking(mutator);
    other.join();
  }
  const TestHeap another;
  const TestMutator there(another, kPrecise);
  for (int i = 0; i < 1000; ++i) REQUIRE(weir_allocate(there, WEIR_KIND_SLOTS, 64) != nullptr);
  collect(there);
}

struct ForkRun {
  const char* name;
  std::size_t threads;
  weir_mutator_config mutator;
  unsigned stress;
  bool verify;
  std::size_t forks;
};

void run_forks(const ForkRun& how) {
  const std::uint64_t seed = seed_for(how.name);
  weir_config config = small_heap();
  config.stress = how.stress;
  config.verify = how.verify;
  const TestHeap heap(config);
  const Kinds kinds(heap);
  const bool is_precise = !how.mutator.conservative_stack;
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (std::size_t index = 1; index < how.threads; ++index)
    threads.emplace_back([&, index] {
      const TestMutator mutator(heap, how.mutator);
      Graph graph(mutator, kinds, is_precise, false, seed + index);
      for (std::size_t round = 0; !is_over; ++round) {
        if (round % 4 == index % 4) {
          work(graph, 200);
        } else {
          for (int step = 0; step < 200; ++step) graph.step();
          // Malloc's lock is nobody's when the child starts.
          const std::unique_ptr<char[]> memory(new char[round % 5000 + 1]);
          memory[0] = 1;
        }
      }
    });
  {
    const TestMutator mutator(heap, how.mutator);
    Graph graph(mutator, kinds, is_precise, how.threads == 1, seed);
    Random random(seed);
    Children children;
    const std::size_t forks = scaled(how.forks);
    while (heap.statistics().mutators != how.threads) weir_poll(mutator);
    for (std::size_t i = 0; i < forks; ++i) {
      fork_delay_us = random() % 2 != 0 ? random() % 2000 : 0;
      for (std::size_t step = random() % 1500; step > 0; --step) graph.step();
      const auto in_child = [&] {
        weir_statistics statistics;
        weir_heap_statistics(heap, &statistics);
        REQUIRE(statistics.mutators == 1);
        graph.check_reachable();
        work(graph, 500);
        work_beside(heap, mutator, how.mutator, kinds, seed + i);
        work(graph, 500);
        return true;
      };
      if (random() % 3 == 0) {
        weir_enter_blocking(mutator);
        children.fork([&] {
          weir_leave_blocking(mutator);
          return in_child();
        });
        weir_leave_blocking(mutator);
      } else {
        {
          const Blocking blocking(mutator);
          children.reap(1);
        }
        children.fork(in_child);
      }
      if (i % 8 == 0) graph.collect_and_check();
    }
    fork_delay_us = 0;
    graph.collect_and_check();
    is_over = true;
    const Blocking blocking(mutator);
    children.reap(0);
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(heap.statistics().collections > 0);
}

}  // namespace

TEST_CASE("63: parent and child of a mutator's fork go on") {
  run_forks({"fork, 1 thread", 1, kPrecise, 0, false, 100});
  run_forks({"fork, 1 thread, verified", 1, kPrecise, 0, true, 50});
  run_forks({"fork, 2 threads that poll", 2, kPrecise, 0, true, 50});
  run_forks({"fork, 8 threads that poll", 8, kPrecise, 0, false, 50});
  run_forks({"fork, 8 threads that poll, conservative", 8, kConservative, 0, true, 30});
}

TEST_CASE("63: threads that signals stop go on while others fork" *
          doctest::skip(kNoForkDuringMalloc)) {
  run_forks({"fork, 1 thread, signals", 1, kBySignal, 0, true, 30});
  run_forks({"fork, 2 threads, signals", 2, kBySignal, 0, true, 100});
  run_forks({"fork, 8 threads, signals", 8, kBySignal, 0, true, 50});
  run_forks({"fork, 8 threads, signals, not verified", 8, kBySignal, 0, false, 50});
}

// Most of the time these are in the runtime, taking, sweeping and clearing memory.
TEST_CASE("63: threads that signals stop fill the heap while others fork") {
  Random random(seed_for("fork, filling"));
  weir_config config = small_heap();
  config.verify = true;
  const TestHeap heap(config);
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < 4; ++index)
    threads.emplace_back([&, index] {
      const TestMutator mutator(heap, kBySignal);
      [[maybe_unused]] void* volatile kept[64] = {};  // by this stack
      for (std::size_t i = index; !is_over; ++i) {
        const std::size_t bytes = i % 1000 == 0 ? 100'000 : 16 + i * 2654435761u % 4000;
        void* object = weir_allocate(mutator, i % 2 != 0 ? WEIR_KIND_LEAF : WEIR_KIND_SLOTS, bytes);
        REQUIRE(object != nullptr);
        if (i % 16 == 0) kept[i / 16 % 64] = object;
      }
    });
  Children children;
  for (std::size_t i = 0; i < scaled(100); ++i) {
    children.reap(1);
    fork_delay_us = random() % 2000;
    children.fork([&] {
      const TestMutator mutator(heap, kBySignal);
      for (int round = 0; round < 3; ++round) {
        for (int n = 0; n < 5000; ++n) {
          const auto* words = static_cast<std::uint64_t*>(
              weir_allocate(mutator, WEIR_KIND_SLOTS, 16 + random() % 100 * 8));
          REQUIRE(words != nullptr);
          REQUIRE(words[0] == 0);
          REQUIRE(words[1] == 0);
        }
        collect(mutator);
      }
      return true;
    });
  }
  fork_delay_us = 0;
  is_over = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("63: forks amid collections at every n-th allocation") {
  run_forks({"fork, 2 threads, stress 7", 2, kPrecise, 7, true, 10});
  if (!kNoForkDuringMalloc)
    run_forks({"fork, 4 threads, signals, stress 7", 4, kBySignal, 7, true, 10});
}

TEST_CASE("63: a thread without a mutator forks" * doctest::skip(kNoForkDuringMalloc)) {
  const std::uint64_t seed = seed_for("fork by a stranger");
  for (const weir_mutator_config& config : {kPrecise, kBySignal}) {
    const TestHeap heap;
    const Kinds kinds(heap);
    std::atomic<bool> is_over{false};
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < 3; ++index)
      threads.emplace_back([&, index] {
        // Now and then one comes or goes.
        for (std::size_t round = 0; !is_over; ++round) {
          const TestMutator mutator(heap, config);
          Graph graph(mutator, kinds, !config.conservative_stack, false, seed + index + round);
          work(graph, 500);
        }
      });
    Children children;
    for (std::size_t i = 0; i < scaled(50); ++i) {
      fork_delay_us = i % 3 * 500;
      children.reap(1);
      children.fork([&] {
        weir_statistics statistics;
        weir_heap_statistics(heap, &statistics);
        REQUIRE(statistics.mutators == 0);
        const TestMutator mutator(heap, config);
        Graph graph(mutator, kinds, !config.conservative_stack, false, seed + i);
        work(graph, 500);
        work_beside(heap, mutator, config, kinds, seed + i);
        return true;
      });
      std::this_thread::sleep_for(std::chrono::microseconds(i * 37 % 1000));
    }
    fork_delay_us = 0;
    is_over = true;
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_CASE("63: several heaps, threads that are mutators of several, and forks of children" *
          doctest::skip(kNoForkDuringMalloc)) {
  const std::uint64_t seed = seed_for("fork, several heaps");
  const TestHeap first;
  const TestHeap second;
  const Kinds kinds_of_first(first);
  const Kinds kinds_of_second(second);
  struct Graphs {  // not exact: some threads' stacks are read conservatively
    Graph in_first, in_second;
    void work_in_both() {
      work(in_first, 100);
      work(in_second, 100);
    }
  };
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  // What a signal stops in one heap never gets to a poll for the other.
  const weir_mutator_config modes[][2] = {
      {kBySignal, kPrecise}, {kPrecise, kBySignal}, {kPrecise, kPrecise}};
  for (std::size_t index = 0; index < 3; ++index)
    threads.emplace_back([&, index] {
      const TestMutator in_first(first, modes[index][0]);
      const TestMutator in_second(second, modes[index][1]);
      Graphs graphs{{in_first, kinds_of_first, false, false, seed + index},
                    {in_second, kinds_of_second, false, false, seed + index}};
      while (!is_over) {
        graphs.work_in_both();
        const TestHeap short_lived;
      }
    });
  {
    const TestMutator in_first(first, kPrecise);
    const TestMutator in_second(second, kPrecise);
    Graphs graphs{{in_first, kinds_of_first, false, false, seed + 10},
                  {in_second, kinds_of_second, false, false, seed + 10}};
    Children children;
    for (std::size_t i = 0; i < scaled(40); ++i) {
      graphs.work_in_both();
      {
        const Blocking block_first(in_first);
        const Blocking block_second(in_second);
        children.reap(1);
      }
      children.fork([&] {
        for (int generation = 0; generation < 3; ++generation) {
          graphs.work_in_both();
          int status = 0;
          const pid_t child = ::fork();
          if (child != 0) return ::waitpid(child, &status, 0) == child && status == 0;
        }
        graphs.work_in_both();
        return true;
      });
    }
    is_over = true;
    const Blocking block_first(in_first);
    const Blocking block_second(in_second);
    children.reap(0);
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_CASE("63: the child's finalizers run on a thread of its own") {
  constexpr int kBatch = 100;
  constexpr int kMost = 90;  // that thread's stack, read conservatively, may keep some
  const TestHeap heap;
  static std::atomic<int> ran;
  ran = 0;
  const auto make_garbage = [](weir_mutator* mutator) {
    for (int i = 0; i < kBatch; ++i) {
      TestFrame<1> frame(mutator);
      frame[0] = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
      const auto count = [](weir_mutator*, void*, void*) { ++ran; };
      REQUIRE(weir_finalizer_set(mutator, frame[0], count, nullptr) == WEIR_OK);
    }
  };
  const auto wait_for = [](int wanted) {
    for (int i = 0; ran < wanted && i < 10'000; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return ran >= wanted;
  };
  REQUIRE(weir_finalizer_thread(heap, true) == WEIR_OK);
  {
    const TestMutator mutator(heap, kPrecise);
    make_garbage(mutator);
    collect(mutator);
    {
      const Blocking blocking(mutator);
      CHECK(wait_for(kMost));
    }
    make_garbage(mutator);
    const ChildResult child = in_child([&](const auto&) {
      collect(mutator);
      const Blocking blocking(mutator);
      if (!wait_for(kBatch + kMost)) return 1;
      return weir_finalizer_thread(heap, false) == WEIR_OK ? 0 : 2;
    });
    CHECK(child.exit_code == 0);
    CHECK(ran.load() <= kBatch);
    collect(mutator);
    const Blocking blocking(mutator);
    CHECK(wait_for(kBatch + kMost));
  }
  REQUIRE(weir_finalizer_thread(heap, false) == WEIR_OK);
}

TEST_CASE("63: a finalizer may fork, on Weir's thread, too") {
  static std::atomic<int> status;
  const auto fork_here = [](weir_mutator* mutator, void*, void*) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0; i < 100'000; ++i)
        if (weir_allocate(mutator, WEIR_KIND_LEAF, 64) == nullptr) ::_exit(1);
      ::_exit(0);
    }
    int result = 0;
    ::waitpid(child, &result, 0);
    status = result;
  };
  for (const bool on_thread : {false, true}) {
    const TestHeap heap;
    status = -1;
    REQUIRE(weir_finalizer_thread(heap, on_thread) == WEIR_OK);
    const TestMutator mutator(heap, kPrecise);
    {
      TestFrame<1> frame(mutator);
      frame[0] = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
      REQUIRE(weir_finalizer_set(mutator, frame[0], fork_here, nullptr) == WEIR_OK);
    }
    collect(mutator);
    if (!on_thread) weir_finalizers_run(mutator, 1);
    const Blocking blocking(mutator);
    while (status == -1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    REQUIRE(weir_finalizer_thread(heap, false) == WEIR_OK);
    CHECK(status == 0);
  }
}

TEST_CASE("63: the child writes nothing into the parent's trace") {
  const std::string path = "/tmp/weir_fork_test_" + std::to_string(::getpid()) + ".json";
  {
    const Setting trace("WEIR_TRACE", path.c_str());
    const TestHeap heap;
    const TestMutator mutator(heap, kPrecise);
    for (int i = 0; i < 5; ++i) {
      const ChildResult child = in_child([&](const auto&) {
        for (int n = 0; n < 20; ++n) collect(mutator);
        const std::string own = path + ".child";
        const Setting own_trace("WEIR_TRACE", own.c_str());
        {
          const TestHeap another;
          const TestMutator there(another, kPrecise);
          collect(there);
        }
        const bool is_json = nlohmann::json::accept(std::ifstream(own));
        ::unlink(own.c_str());
        return is_json ? 0 : 1;
      });
      CHECK(child.exit_code == 0);
      collect(mutator);
    }
  }
  std::size_t cycles = 0;
  for (const auto& event : nlohmann::json::parse(std::ifstream(path))) {
    CHECK(event.at("pid") == ::getpid());
    cycles += event.value("cat", "") == "cycle";
  }
  CHECK(cycles == 5);
  ::unlink(path.c_str());
}

TEST_CASE("63: a fork inside a collection ends with a sentence") {
  for (const bool in_roots : {false, true}) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const ChildResult child = in_child([&](const auto&) {
      ::dup2(ends[1], STDERR_FILENO);
      const TestHeap heap;
      const TestMutator mutator(heap, kPrecise);
      TestFrame<1> frame(mutator);
      if (in_roots) {
        (void)weir_roots_add_callback(
            heap, [](weir_visitor*, void*) { ::fork(); }, nullptr);
      } else {
        weir_kind_config config{};
        config.name = "forks";
        config.tracing = WEIR_TRACE_CALLBACK;
        config.trace = [](weir_visitor*, void*, std::size_t, std::size_t, void*) { ::fork(); };
        weir_kind kind = 0;
        (void)weir_kind_define(heap, &config, &kind);
        frame[0] = weir_allocate(mutator, kind, 64);
      }
      (void)weir_collect(mutator);
      return 0;
    });
    CHECK(child.signal == SIGABRT);
    char text[512] = {};
    CHECK(::read(ends[0], text, sizeof text - 1) > 0);
    CHECK(std::string(text).find("fork(2) inside a callback of a collection") != std::string::npos);
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

TEST_CASE("63: in a forked child stop signals reach the thread, whatever it was before") {
  {
    const TestHeap heap;
    const TestMutator before(heap, kBySignal);
  }
  const ChildResult child = in_child([](const auto&) {
    const TestHeap heap;
    const TestMutator mutator(heap, kBySignal);
    std::atomic<bool> is_done = false;
    std::thread other([&] {
      const TestMutator collecting(heap, kPrecise);
      for (int i = 0; i < 20; ++i) collect(collecting);
      is_done = true;
    });
    while (!is_done) (void)weir_allocate(mutator, WEIR_KIND_LEAF, 64);
    weir_enter_blocking(mutator);
    other.join();
    weir_leave_blocking(mutator);
    return 0;
  });
  CHECK(child.exit_code == 0);
}

#endif
