// What opening, filling and saving heap images cost.
//
//   open_touch/<how>/<codec>/mib:<n>/touched_permille:<n>
//       from before the open until so many pages, at random, were read. lazy and background are
//       weir_image_open's; eager inflates everything in one thread first, eager-parallel on all
//       cores; mmap is a file of the same memory, uncompressed
//   fill/<thread|sigbus>/<codec>/cluster_kib:64/threads:<n>
//       all of a 256 MiB image by n threads that run into its pages; bytes_per_second of memory
//   save/<codec>/threads:<n>
//       of 256 MiB; bytes_per_second of memory
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
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

std::vector<std::size_t> random_pages(std::size_t pages, std::size_t permille) {
  std::vector<std::size_t> order(pages);
  for (std::size_t i = 0; i < pages; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(pages));
  order.resize(std::max<std::size_t>(1, pages * permille / 1000));
  return order;
}

void touch(const char* begin, const std::vector<std::size_t>& pages) {
  for (const std::size_t page : pages)
    benchmark::DoNotOptimize(*static_cast<const volatile char*>(begin + page * 4096));
}

enum class How { lazy, background, eager, eager_parallel };
constexpr const char* kHowNames[] = {"lazy", "background", "eager", "eager-parallel"};

void open_touch(benchmark::State& state, How how, weir_codec codec, std::size_t mib,
                std::size_t permille) {
  const std::string& path = saved_image(codec, mib);
  std::uint64_t filled = 0;
  for (auto _ : state) {
    state.PauseTiming();
    {
      const Session session;
      std::vector<std::size_t> pages;
      weir_image_open_config config{};
      if (how == How::background) config.filling = WEIR_IMAGE_BACKGROUND;
      if (how == How::eager_parallel) config.filling = WEIR_IMAGE_EAGER;
      {
        const auto file = image::ImageFile::open(path);
        pages = random_pages(file->clusters() * 16, permille);
      }
      state.ResumeTiming();
      weir_image* image = nullptr;
      must(weir_image_open(session.heap, path.c_str(), &config, &image));
      const Range range = image->image->segments()[0]->range;
      if (how == How::eager) must(weir_prefault(session.heap, range.begin.as(), range.size));
      touch(range.begin.as<const char>(), pages);
      state.PauseTiming();
      filled = image->image->pager().counters().filled;
    }
    state.ResumeTiming();
  }
  state.counters["filled_clusters"] = static_cast<double>(filled);
}

void open_touch_mmap(benchmark::State& state, std::size_t mib, std::size_t permille) {
  // The memory of the image, in a file.
  const std::string raw = saved_image(WEIR_CODEC_ZLIB, mib) + ".raw";
  std::size_t bytes = 0;
  {
    const Session session;
    weir_image* image = nullptr;
    weir_image_open_config config{};
    config.filling = WEIR_IMAGE_EAGER;
    must(weir_image_open(session.heap, saved_image(WEIR_CODEC_ZLIB, mib).c_str(), &config, &image));
    const Range range = image->image->segments()[0]->range;
    bytes = range.size;
    const int fd = ::open(raw.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t n = ::write(fd, (range.begin + done).as(), bytes - done);
      if (n <= 0) std::abort();
      done += static_cast<std::size_t>(n);
    }
    ::close(fd);
  }
  const auto pages = random_pages(bytes / 4096, permille);
  for (auto _ : state) {
    const int fd = ::open(raw.c_str(), O_RDONLY);
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    touch(static_cast<const char*>(memory), pages);
    ::munmap(memory, bytes);
    ::close(fd);
  }
  ::unlink(raw.c_str());
}

void fill(benchmark::State& state, const char* delivery, weir_codec codec, unsigned threads) {
  const std::string& path = saved_image(codec, kFillMib);
  ::setenv("WEIR_DELIVERY", delivery, 1);
  std::size_t bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    {
      const Session session;
      weir_image* image = nullptr;
      must(weir_image_open(session.heap, path.c_str(), nullptr, &image));
      const Range range = image->image->segments()[0]->range;
      const std::size_t clusters = range.size / image::kClusterBytes;
      bytes += range.size;
      std::atomic<std::size_t> next{0};
      const auto work = [&] {
        for (std::size_t i = next.fetch_add(1); i < clusters; i = next.fetch_add(1))
          benchmark::DoNotOptimize(
              *(range.begin + i * image::kClusterBytes).as<const volatile char>());
      };
      state.ResumeTiming();
      std::vector<std::thread> others;
      for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
      work();
      for (std::thread& other : others) other.join();
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  ::unsetenv("WEIR_DELIVERY");
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void save(benchmark::State& state, weir_codec codec, unsigned threads) {
  const std::string path = saved_image(codec, 1) + ".saved";
  GraphHeap graph(std::size_t{2} << 30, kFillMib, threads);
  for (auto _ : state) graph.save(path, codec);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kFillMib << 20));
  ::unlink(path.c_str());
}

void register_all() {
  const auto named = [](const auto&... parts) {
    std::string name;
    ((name.append(name.empty() ? "" : "/").append(parts)), ...);
    return name;
  };
  const auto add = [](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  for (const std::size_t mib : {64, 256, 1024, 4096}) {
    const std::string size = "mib:" + std::to_string(mib);
    for (const std::size_t permille : {0, 1, 10, 100, 1000}) {
      if (permille > 1 && mib > 1024) continue;
      const std::string touched = "touched_permille:" + std::to_string(permille);
      for (const How how : {How::lazy, How::background, How::eager, How::eager_parallel})
        for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE}) {
          if (mib > 1024 && (how != How::lazy || codec != WEIR_CODEC_ZLIB)) continue;
          add(named("open_touch", kHowNames[static_cast<int>(how)], kCodecNames[codec], size,
                    touched),
              [=](benchmark::State& s) { open_touch(s, how, codec, mib, permille); });
        }
      if (mib <= 1024)
        add(named("open_touch", "mmap", "none", size, touched),
            [=](benchmark::State& s) { open_touch_mmap(s, mib, permille); });
    }
  }
  for (const char* delivery : {"thread", "sigbus"})
    for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE})
      for (const unsigned threads : {1u, 2u, 4u})
        add(named("fill", delivery, kCodecNames[codec], "cluster_kib:64",
                  "threads:" + std::to_string(threads)),
            [=](benchmark::State& s) { fill(s, delivery, codec, threads); });
  for (const weir_codec codec : {WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE})
    for (const unsigned threads : {1u, 2u})
      add(named("save", kCodecNames[codec], "threads:" + std::to_string(threads)),
          [=](benchmark::State& s) { save(s, codec, threads); });
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  weir::bench::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
