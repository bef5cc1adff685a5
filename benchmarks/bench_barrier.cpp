// What a write barrier costs: the first write to an armed page, and taking and re-arming, for every
// barrier of this machine and, under raw/, for the same work in bare system calls.
//
//   first_write/<back-end>/<seq|rand>/mib:<n>/one_in:<n>/threads:<n>   store to 1 of n pages
//   take/<back-end>/mib:<n>/one_in:<n>                                 1 of n pages was written
//   take_hot/<back-end>/mib:<n>/one_in:<n>       the same, with every second page left unarmed
//
// Read the counters: medians over the rounds of one repetition. "Time" is that of all its rounds
// together, and their number varies. For medians of alternating repetitions:
//
//   bench_barrier --benchmark_filter=... --benchmark_repetitions=9
//                 --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "benchmarks/protocol.hpp"
#include "benchmarks/writing_phase.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::bench {

void give_up(const std::string& what) {
  std::fprintf(stderr, "bench_barrier: %s\n", what.c_str());
  std::exit(1);
}

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
// A benchmark has as many rounds as this allows, and one more to warm everything up.
constexpr double kBudgetNs = 50e6;     // of timed work, if a few rounds fit into it
constexpr double kPatienceNs = 200e6;  // with what prepares each round
constexpr std::size_t kMinRounds = 3;
constexpr std::size_t kMaxRounds = 31;

struct Shape {
  std::size_t mib;
  std::size_t one_in;
  std::size_t threads = 1;
  Order order = Order::random;
  std::size_t bytes() const { return mib * kMiB; }
};

// The same memory for all benchmarks of one size: populated, written, in small pages.
Range warm_memory(std::size_t bytes) {
  static os::Mapping memory;
  if (memory.size() != bytes) {
    memory = os::Mapping();
    auto mapped = os::Mapping::anonymous(bytes, os::HugePages::never);
    if (!mapped) give_up(mapped.error().message());
    memory = std::move(*mapped);
  }
  const Range range = memory.range();
  for (Address page = range.begin; page < range.end(); page = page + os::page_size())
    *page.as<volatile char>() = 1;
  return range;
}

// Collects rounds and reports them.
class Rounds {
 public:
  void add(const PhaseCost& cost, std::size_t traps) {
    wall_.push_back(cost.wall_ns);
    cpu_.push_back(cost.cpu_ns);
    faults_.push_back(cost.faults + static_cast<double>(traps));
    timed_ns_ += cost.wall_ns;
  }
  bool enough(double elapsed_ns) const {
    const std::size_t done = wall_.size();
    return done > 0 && (done == kMaxRounds || elapsed_ns >= kPatienceNs ||
                        (done >= kMinRounds && timed_ns_ >= kBudgetNs));
  }
  void report(benchmark::State& state, const Shape& shape, std::size_t dirty) const {
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
    const auto writes = static_cast<double>(dirty);
    const std::size_t pages = shape.bytes() / os::page_size();
    const double busy = static_cast<double>(std::min(shape.threads, cores));
    state.counters["ns_per_dirty"] = median(wall_) * busy / writes;
    state.counters["ns_per_page"] = median(wall_) / static_cast<double>(pages);
    state.counters["cpu_ns_per_dirty"] = median(cpu_) / writes;
    state.counters["faults"] = median(faults_);
    state.counters["writes"] = writes;
    state.counters["rounds"] = static_cast<double>(wall_.size());
  }

 private:
  std::vector<double> wall_, cpu_, faults_;
  double timed_ns_ = 0;
};

// Runs `round`, whose cost is what counts, as often as it fits; each time after `prepare`.
template <class Prepare, class Round>
Rounds repeat(benchmark::State& state, const Protocol& protocol, Prepare prepare, Round round) {
  Rounds rounds;
  prepare();
  (void)round();
  const PhaseClock clock;
  for (auto iteration : state) {  // as many in each repetition, which the library insists on
    (void)iteration;
    state.PauseTiming();
    while (!rounds.enough(clock.elapsed().wall_ns)) {
      prepare();
      const std::size_t traps = protocol.traps();
      state.ResumeTiming();
      const PhaseCost cost = round();
      state.PauseTiming();
      rounds.add(cost, protocol.traps() - traps);
    }
    state.ResumeTiming();
  }
  return rounds;
}

void first_write(benchmark::State& state, const Contender& contender, const Shape& shape) {
  const Range memory = warm_memory(shape.bytes());
  const auto bytes = bytes_to_write(shape.bytes(), shape.one_in, shape.order);
  const auto protocol = contender.open(contender.name);
  protocol->attach(memory);
  protocol->arm(memory);
  const Rounds rounds = repeat(
      state, *protocol, [&] { protocol->take(memory); },
      [&] { return write_all(memory, bytes, shape.threads, protocol->marks()); });
  rounds.report(state, shape, bytes.size());
  if (protocol->take(memory) == 0) state.SkipWithError("nothing was recorded");
}

enum class Pages { all_armed, every_second_hot };

void take(benchmark::State& state, const Contender& contender, const Shape& shape, Pages pages) {
  const Range memory = warm_memory(shape.bytes());
  const auto bytes = bytes_to_write(shape.bytes(), shape.one_in, Order::sequential);
  const auto protocol = contender.open(contender.name);
  protocol->attach(memory);
  if (pages == Pages::all_armed) {
    protocol->arm(memory);
  } else {
    const std::size_t page_size = os::page_size();
    for (Address page = memory.begin; page < memory.end(); page = page + 2 * page_size)
      protocol->arm({page, page_size});
  }
  std::size_t taken = 0;
  const Rounds rounds = repeat(
      state, *protocol, [&] { write_all(memory, bytes, 1, protocol->marks()); },
      [&] {
        const PhaseClock clock;
        taken = protocol->take(memory);
        return clock.elapsed();
      });
  rounds.report(state, shape, bytes.size());
  state.counters["pages_taken"] = static_cast<double>(taken) / static_cast<double>(os::page_size());
  if (taken == 0) state.SkipWithError("nothing was recorded");
}

std::string name_of(const Shape& shape) {
  return "/mib:" + std::to_string(shape.mib) + "/one_in:" + std::to_string(shape.one_in);
}

bool fits_into_memory(const Shape& shape) {
  const auto page_size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto available = static_cast<std::size_t>(::sysconf(_SC_AVPHYS_PAGES)) * page_size;
  return shape.bytes() < available / 2;
}

enum class Family { first_write, take, take_hot };

struct Grid {
  Family family;
  std::vector<Shape> shapes;
};

// Density, threads and size, each varied while the others stand still.
std::vector<Grid> grids() {
  Grid first_write{Family::first_write, {{64, 64}, {1024, 64}, {4096, 64}}};
  Grid take{Family::take, first_write.shapes};
  for (const std::size_t one_in : {1, 8, 64, 1000, 10000}) {
    first_write.shapes.push_back({256, one_in, 1, Order::random});
    first_write.shapes.push_back({256, one_in, 1, Order::sequential});
    take.shapes.push_back({256, one_in});
  }
  for (const std::size_t one_in : {8, 64})
    for (const std::size_t threads : {2, 4, 8, 16})
      first_write.shapes.push_back({256, one_in, threads});
  // Each armed page is a mapping of its own to mprotect, and there can be vm.max_map_count.
  return {first_write, take, {Family::take_hot, {{64, 1}, {64, 8}, {64, 64}}}};
}

// A raw mprotect has no answer to running out of mappings.
bool has_room_for_mappings(const Shape& shape) {
  return shape.bytes() / os::page_size() / shape.one_in < os::max_map_count() / 2;
}

struct Side {
  const char* prefix;
  std::vector<Contender> contenders;
};

void add(const Side& side, const Contender& who, Family family, const Shape& shape) {
  const bool raw_mprotect = *side.prefix != '\0' && who.name == "mprotect";
  if (!fits_into_memory(shape) || (raw_mprotect && !has_room_for_mappings(shape))) return;
  const auto add_as = [&](const std::string& name, auto run) {
    benchmark::RegisterBenchmark((side.prefix + name).c_str(), run)->Unit(benchmark::kMicrosecond);
  };
  switch (family) {
    case Family::first_write:
      return add_as("first_write/" + who.name + (shape.order == Order::random ? "/rand" : "/seq") +
                        name_of(shape) + "/threads:" + std::to_string(shape.threads),
                    [=](benchmark::State& state) { first_write(state, who, shape); });
    case Family::take:
      return add_as("take/" + who.name + name_of(shape),
                    [=](benchmark::State& state) { take(state, who, shape, Pages::all_armed); });
    case Family::take_hot:
      return add_as("take_hot/" + who.name + name_of(shape), [=](benchmark::State& state) {
        take(state, who, shape, Pages::every_second_hot);
      });
  }
}

// By size first: memory is mapped and populated once for each. What is to be compared is close in
// time.
void add_all() {
  const Side sides[] = {{"", own_barriers()}, {"raw/", raw_protocols()}};
  for (const std::size_t mib : {64, 256, 1024, 4096})
    for (const Grid& grid : grids())
      for (const Shape& shape : grid.shapes)
        for (const Side& side : sides)
          for (const Contender& who : side.contenders)
            if (shape.mib == mib) add(side, who, grid.family, shape);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir;
  // A benchmark finds its number of rounds itself. What the caller says comes later, and counts.
  std::vector<char*> arguments(argv, argv + argc);
  char once[] = "--benchmark_min_time=0";
  arguments.insert(arguments.begin() + 1, once);
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;

  utsname machine{};
  ::uname(&machine);
  benchmark::AddCustomContext("kernel", machine.release);
  benchmark::AddCustomContext("page_size", std::to_string(os::page_size()));
  benchmark::AddCustomContext("max_map_count", std::to_string(os::max_map_count()));
  bench::add_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
