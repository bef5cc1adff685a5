// What the heap charges: the inline allocation against a bare bump pointer over memory that is
// zeroed ahead of it, and full marking with one marker against two. What is compared is measured in
// turns, in one process.
#include <benchmark/benchmark.h>
#include <weir/weir.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "runtime/observe/clock.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMiB = std::size_t{1} << 20;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "bench_allocation: %s\n", what);
  std::exit(1);
}

double seconds(const std::function<void()>& work) {
  const auto before = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - before).count();
}

// Of this thread: what others do on its core does not count.
double cpu_seconds(const std::function<void()>& work) {
  const std::uint64_t before = observe::thread_cpu_ns();
  work();
  return static_cast<double>(observe::thread_cpu_ns() - before) / 1e9;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

class Heap {
 public:
  Heap(std::size_t minimum_bytes, unsigned markers) {
    weir_config config;
    weir_config_init(&config);
    config.minimum_bytes = minimum_bytes;
    config.maximum_bytes = std::max(minimum_bytes * 2, config.maximum_bytes);
    config.markers = markers;
    const weir_mutator_config precise{WEIR_STOP_POLL, false, nullptr};
    if (weir_heap_create(&config, &heap_) != WEIR_OK ||
        weir_mutator_attach(heap_, &precise, &mutator_) != WEIR_OK)
      give_up(weir_error_message());
  }
  ~Heap() {
    weir_mutator_detach(mutator_);
    weir_heap_destroy(heap_, false);
  }
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  weir_mutator* mutator() const { return mutator_; }
  void collect() const {
    if (weir_collect(mutator_) != WEIR_OK) give_up(weir_error_message());
  }
  weir_statistics statistics() const {
    weir_statistics statistics;
    weir_heap_statistics(heap_, &statistics);
    return statistics;
  }
  double metadata_percent() const {
    const weir_statistics now = statistics();
    return 100.0 * static_cast<double>(now.metadata_bytes) / static_cast<double>(now.heap_bytes);
  }

 private:
  weir_heap* heap_ = nullptr;
  weir_mutator* mutator_ = nullptr;
};

// ---- Allocation ---------------------------------------------------------------------------------

constexpr std::size_t kObject = 32;

// The least that an allocator of zeroed memory can do, with Weir's piece of zeroing.
class BumpPointer {
 public:
  explicit BumpPointer(std::size_t bytes)
      : memory_(*os::Mapping::anonymous(bytes, os::HugePages::prefer, 2 * kMiB)) {
    rewind();
  }
  void rewind() { bump_ = limit_ = memory_.as<char>(); }
  void* allocate() {
    if (limit_ - bump_ < static_cast<std::ptrdiff_t>(kObject)) zero_a_piece();
    char* object = bump_;
    bump_ += kObject;
    return object;
  }

 private:
  [[gnu::noinline]] void zero_a_piece() {
    constexpr std::size_t kPiece = 4096;
    std::memset(limit_, 0, kPiece);
    limit_ += kPiece;
  }
  os::Mapping memory_;
  char* bump_ = nullptr;
  char* limit_ = nullptr;
};

// Objects are initialised with a word, as every program does.
void allocate_by_bump_pointer(BumpPointer& memory, std::size_t count) {
  memory.rewind();
  for (std::size_t i = 0; i < count; ++i) {
    auto* object = static_cast<std::size_t*>(memory.allocate());
    *object = i;
    benchmark::DoNotOptimize(object);
  }
}

void allocate_by_weir(weir_mutator* mutator, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto* object = static_cast<std::size_t*>(weir_allocate(mutator, WEIR_KIND_LEAF, kObject));
    if (object == nullptr) give_up("out of memory");
    *object = i;
    benchmark::DoNotOptimize(object);
  }
}

void allocation(benchmark::State& state) {
  const std::size_t bytes = static_cast<std::size_t>(state.range(0)) * kMiB;
  const std::size_t count = bytes / kObject;
  const Heap heap(2 * bytes, 1);
  BumpPointer bump(bytes);
  const auto by_weir = [&] { allocate_by_weir(heap.mutator(), count); };
  const auto by_bump = [&] { allocate_by_bump_pointer(bump, count); };
  by_bump();
  for (int i = 0; i < 3; ++i) {
    by_weir();
    heap.collect();
  }
  std::vector<double> weir_ns, bump_ns, ratios;
  for (auto unused : state) {
    static_cast<void>(unused);
    bump_ns.push_back(cpu_seconds(by_bump) * 1e9 / static_cast<double>(count));
    weir_ns.push_back(cpu_seconds(by_weir) * 1e9 / static_cast<double>(count));
    ratios.push_back(weir_ns.back() / bump_ns.back());
    state.counters["metadata_percent"] = heap.metadata_percent();  // while it is full
    heap.collect();
    state.SetIterationTime(weir_ns.back() * static_cast<double>(count) / 1e9);
  }
  state.counters["weir_ns"] = median(weir_ns);
  state.counters["bump_ns"] = median(bump_ns);
  state.counters["ratio"] = median(ratios);
}

// ---- Marking ------------------------------------------------------------------------------------

// Live objects of 32 to 64 bytes in a wide graph: a table of 4096 lists' heads of trees, each
// object with two references to later ones.
struct Graph {
  Heap heap;
  weir_frame frame;
  void* root = nullptr;
  std::size_t objects = 0;

  Graph(std::size_t bytes, unsigned markers) : heap(4 * bytes, markers), frame{nullptr, 1, &root} {
    weir_frame_enter(heap.mutator(), &frame);
    std::mt19937_64 random(1);
    constexpr std::size_t kHeads = 4096;
    root = make(kHeads * sizeof(void*));
    auto** heads = static_cast<void**>(root);
    // Whose children are still to come: a binary tree's levels, in an order that is not that of
    // memory.
    std::vector<void**> open;
    for (std::size_t i = 0; i < kHeads; ++i) open.push_back(heads + i);
    for (std::size_t made = 0; made < bytes;) {
      std::swap(open[random() % open.size()], open.back());
      void** slot = open.back();
      open.pop_back();
      const std::size_t size = 32 + 16 * (random() % 3);
      auto** object = static_cast<void**>(make(size));
      *slot = object;
      open.push_back(object);
      open.push_back(object + 1);
      made += size;
      ++objects;
    }
    heap.collect();
  }
  ~Graph() { weir_frame_leave(heap.mutator(), &frame); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void* make(std::size_t bytes) const {
    void* object = weir_allocate(heap.mutator(), WEIR_KIND_SLOTS, bytes);
    if (object == nullptr) give_up("out of memory");
    return object;
  }
};

void marking(benchmark::State& state) {
  const std::size_t bytes = static_cast<std::size_t>(state.range(0)) * kMiB;
  const Graph one(bytes, 1);
  const Graph two(bytes, 2);
  std::vector<double> with_one, with_two, speedups, cpu_speedups, others_share;
  for (auto unused : state) {
    static_cast<void>(unused);
    const std::clock_t before = std::clock();
    with_one.push_back(seconds([&] { one.heap.collect(); }));
    const std::clock_t between = std::clock();
    double own = 0;
    with_two.push_back(seconds([&] { own = cpu_seconds([&] { two.heap.collect(); }); }));
    const std::clock_t after = std::clock();
    speedups.push_back(with_one.back() / with_two.back());
    // What it would be if each marker had a core, and both the same to do.
    cpu_speedups.push_back(2.0 * static_cast<double>(between - before) /
                           static_cast<double>(after - between));
    others_share.push_back(1 - own * CLOCKS_PER_SEC / static_cast<double>(after - between));
    state.SetIterationTime(with_two.back());
  }
  const auto rate = [](std::size_t amount, const std::vector<double>& times) {
    return static_cast<double>(amount) / median(times);
  };
  const std::size_t live = one.heap.statistics().live_bytes;
  state.counters["objects_per_s_1"] = rate(one.objects, with_one);
  state.counters["objects_per_s_2"] = rate(one.objects, with_two);
  state.counters["bytes_per_s_1"] = rate(live, with_one);
  state.counters["bytes_per_s_2"] = rate(live, with_two);
  state.counters["speedup"] = median(speedups);
  state.counters["second_marker_share"] = median(others_share);
  state.counters["cpu_speedup"] = median(cpu_speedups);
  state.counters["metadata_percent"] = one.heap.metadata_percent();
}

BENCHMARK(allocation)->ArgName("mib")->Arg(16)->Arg(256)->Iterations(25)->UseManualTime();
BENCHMARK(marking)->ArgName("mib")->Arg(512)->Iterations(9)->UseManualTime()->Unit(
    benchmark::kMillisecond);

}  // namespace
}  // namespace weir::bench

BENCHMARK_MAIN();
