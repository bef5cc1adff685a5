// What opening, filling and saving heap images cost.
//
//   open_touch/<how>/<codec>/mib:<n>/touched_permille:<n>
//       from before the open until so many pages, at least one, were read: at random, or else in
//       the order that the name ends with: sequential, or recorded, where an earlier run that read
//       the same pages has left a hot list. lazy and background are weir_image_open's; eager
//       inflates everything in one thread first, eager-parallel on all cores; mmap is a file of the
//       same memory, uncompressed
//   fill/<thread|sigbus>/<codec>/cluster_kib:<n>/threads:<n>
//       all of a 256 MiB image with clusters of 4, 16 or 64 KiB by n threads that run into its
//       pages
//   save/<codec>/threads:<n>
//       of 256 MiB
//
// Each runs a few rounds; counters are their medians: ms, and what follows from it.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "benchmarks/image_graph.hpp"
#include "runtime/collector/images.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t kFillMib = 256;
constexpr const char* kCodecNames[] = {"zlib", "zstd", "none"};

class Session {
 public:
  Session() {
    weir_config config;
    weir_config_init(&config);
    config.maximum_bytes = std::size_t{4} << 30;
    must(weir_heap_create(&config, &heap));
  }
  ~Session() { must(weir_heap_destroy(heap, false)); }
  weir_heap* heap = nullptr;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// The rounds of one benchmark, and what each found out.
class Rounds {
 public:
  explicit Rounds(benchmark::State& state) : state_(state) {}
  // round() measures by itself: milliseconds(), add().
  template <class Round>
  void run(Round round) {
    while (state_.KeepRunningBatch(kRounds))
      for (unsigned i = 0; i < kRounds; ++i) round();
    for (const auto& [name, values] : values_) state_.counters[name] = median(values);
  }
  template <class Timed>
  double milliseconds(Timed timed) {
    const auto began = std::chrono::steady_clock::now();
    timed();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
        .count();
  }
  void add(const std::string& name, double value) { values_[name].push_back(value); }

 private:
  static constexpr unsigned kRounds = 3;
  benchmark::State& state_;
  std::map<std::string, std::vector<double>> values_;
};

double mib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * os::page_size();
}

enum class Order { random, sequential, recorded };

// Recorded ones are random, too.
std::vector<std::size_t> pages_to_touch(std::size_t pages, std::size_t permille, Order order) {
  std::vector<std::size_t> touched(pages);
  for (std::size_t i = 0; i < pages; ++i) touched[i] = i;
  std::shuffle(touched.begin(), touched.end(), std::mt19937_64(pages));
  touched.resize(std::max<std::size_t>(1, pages * permille / 1000));
  if (order == Order::sequential) std::ranges::sort(touched);
  return touched;
}

void touch(const char* begin, const std::vector<std::size_t>& pages) {
  for (const std::size_t page : pages)
    benchmark::DoNotOptimize(*static_cast<const volatile char*>(begin + page * os::page_size()));
}

enum class How { lazy, background, eager, eager_parallel };
constexpr const char* kHowNames[] = {"lazy", "background", "eager", "eager-parallel"};

void open_touch(benchmark::State& state, How how, weir_codec codec, std::size_t image_mib,
                std::size_t permille, Order order) {
  const std::string& path = saved_image(codec, image_mib);
  const std::string list = path + ".hot";
  std::vector<std::size_t> pages;
  {
    const auto file = image::ImageFile::open(path);
    pages =
        pages_to_touch(file->directory().segments[0].saved.size / os::page_size(), permille, order);
  }
  weir_image_open_config config{};
  if (how == How::background) config.filling = WEIR_IMAGE_BACKGROUND;
  if (how == How::eager_parallel) config.filling = WEIR_IMAGE_EAGER;
  Rounds rounds(state);
  const auto once = [&](bool is_counted) {
    const Session session;
    const std::size_t before = resident_bytes();
    weir_image* image = nullptr;
    double opened = 0;
    const double all = rounds.milliseconds([&] {
      opened = rounds.milliseconds(
          [&] { must(weir_image_open(session.heap, path.c_str(), &config, &image)); });
      const Range range = image->image->segments()[0]->range;
      if (how == How::eager) must(weir_prefault(session.heap, range.begin.as(), range.size));
      touch(range.begin.as<const char>(), pages);
    });
    const image::PagerCounters counters = image->image->pager().counters();
    if (!is_counted) return must(weir_image_hot_list(image, list.c_str()));
    const auto filled =
        static_cast<double>(counters.filled * image->image->file().cluster_size().payload_bytes());
    rounds.add("ms", all);
    rounds.add("open_ms", opened);
    rounds.add("filled_clusters", static_cast<double>(counters.filled));
    rounds.add("demanded_clusters", static_cast<double>(image->image->pager().order().size()));
    rounds.add("read_bytes", static_cast<double>(counters.read_bytes));
    rounds.add("resident_beyond_percent",
               100 * (static_cast<double>(resident_bytes() - before) / filled - 1));
  };
  if (order == Order::recorded) {
    once(false);
    config.hot_list = list.c_str();
  }
  rounds.run([&] { once(true); });
  ::unlink(list.c_str());
}

// The memory of an image, in a file.
std::size_t write_raw(const std::string& image_path, const std::string& raw) {
  const Session session;
  weir_image* image = nullptr;
  weir_image_open_config config{};
  config.filling = WEIR_IMAGE_EAGER;
  must(weir_image_open(session.heap, image_path.c_str(), &config, &image));
  const Range range = image->image->segments()[0]->range;
  std::ofstream(raw, std::ios::binary)
      .write(range.begin.as<const char>(), static_cast<std::streamsize>(range.size));
  return range.size;
}

void open_touch_mmap(benchmark::State& state, std::size_t image_mib, std::size_t permille) {
  const std::string& path = saved_image(WEIR_CODEC_ZLIB, image_mib);
  const std::string raw = path + ".raw";
  const std::size_t bytes = write_raw(path, raw);
  const auto pages = pages_to_touch(bytes / os::page_size(), permille, Order::random);
  Rounds rounds(state);
  rounds.run([&] {
    rounds.add("ms", rounds.milliseconds([&] {
      const int fd = ::open(raw.c_str(), O_RDONLY);
      void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
      touch(static_cast<const char*>(memory), pages);
      ::munmap(memory, bytes);
      ::close(fd);
    }));
  });
  ::unlink(raw.c_str());
}

void fill(benchmark::State& state, const char* delivery, weir_codec codec, std::size_t cluster_kib,
          unsigned threads) {
  const std::string& path = saved_image(codec, kFillMib, cluster_kib);
  ::setenv("WEIR_DELIVERY", delivery, 1);
  Rounds rounds(state);
  rounds.run([&] {
    const Session session;
    weir_image* image = nullptr;
    must(weir_image_open(session.heap, path.c_str(), nullptr, &image));
    const auto& segment = *image->image->segments()[0];
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next.fetch_add(1); i < segment.clusters(); i = next.fetch_add(1))
        benchmark::DoNotOptimize(*segment.cluster(i).begin.as<const volatile char>());
    };
    const double ms = rounds.milliseconds([&] {
      std::vector<std::thread> others;
      for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
      work();
      for (std::thread& other : others) other.join();
    });
    rounds.add("ms", ms);
    rounds.add("mib_per_s", mib(segment.range.size) / ms * 1e3);
  });
  ::unsetenv("WEIR_DELIVERY");
}

void save(benchmark::State& state, weir_codec codec, unsigned threads) {
  const std::string path = saved_image(codec, 1) + ".saved";
  GraphHeap graph(std::size_t{2} << 30, kFillMib, threads);
  Rounds rounds(state);
  rounds.run([&] {
    const double ms = rounds.milliseconds([&] { graph.save(path, codec); });
    rounds.add("ms", ms);
    rounds.add("mib_per_s", kFillMib / ms * 1e3);
  });
  ::unlink(path.c_str());
}

void register_all() {
  const auto named = [](const auto&... parts) {
    std::string name;
    ((name.append(name.empty() ? "" : "/").append(parts)), ...);
    return name;
  };
  const auto add = [](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMillisecond);
  };
  for (const std::size_t size : {64, 256, 1024, 4096}) {
    const std::string mib = "mib:" + std::to_string(size);
    for (const std::size_t permille : {0, 1, 10, 100, 1000}) {
      if (permille > 1 && size > 1024) continue;
      const std::string touched = "touched_permille:" + std::to_string(permille);
      for (const How how : {How::lazy, How::background, How::eager, How::eager_parallel})
        for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE}) {
          if (size > 1024 && (how != How::lazy || codec != WEIR_CODEC_ZLIB)) continue;
          const std::string name = named("open_touch", kHowNames[static_cast<int>(how)],
                                         kCodecNames[codec], mib, touched);
          const auto body = [=](Order order) {
            return [=](benchmark::State& s) { open_touch(s, how, codec, size, permille, order); };
          };
          add(name, body(Order::random));
          if (how == How::lazy && codec == WEIR_CODEC_ZLIB && permille != 0 && size <= 1024) {
            add(named(name, "order:sequential"), body(Order::sequential));
            add(named(name, "order:recorded"), body(Order::recorded));
          }
        }
      if (size <= 1024)
        add(named("open_touch", "mmap", "none", mib, touched),
            [=](benchmark::State& s) { open_touch_mmap(s, size, permille); });
    }
  }
  for (const char* delivery : {"thread", "sigbus"})
    for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE})
      for (const std::size_t kib : {4, 16, 64})
        for (const unsigned threads : {1u, 2u, 4u})
          add(named("fill", delivery, kCodecNames[codec], "cluster_kib:" + std::to_string(kib),
                    "threads:" + std::to_string(threads)),
              [=](benchmark::State& s) { fill(s, delivery, codec, kib, threads); });
  for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE})
    for (const unsigned threads : {1u, 2u})
      add(named("save", kCodecNames[codec], "threads:" + std::to_string(threads)),
          [=](benchmark::State& s) { save(s, codec, threads); });
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  // One batch of rounds each, unless asked otherwise.
  std::vector<char*> arguments(argv, argv + argc);
  char once[] = "--benchmark_min_time=0";
  arguments.insert(arguments.begin() + 1, once);
  arguments.push_back(nullptr);
  argv = arguments.data();
  ++argc;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  weir::bench::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
