// heap_demo: threads that allocate and drop, and a picture of the heap that they do it in.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "gc_demo/heap/options.hpp"
#include "gc_demo/heap/picture.hpp"
#include "gc_demo/heap/worker.hpp"
#include "gc_demo/shared/command_line.hpp"

namespace weir::heap_demo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMiB = 1 << 20;

class View {
 public:
  View(const Options& options, MutatorRef mutator)
      : silent_(options.json || options.quiet), mutator_(mutator) {}

  void on_start(const Options& options, const Heap& heap) {
    if (silent_) return;
    terminal_.line(terminal_.styled(
        Style::bold,
        fmt::format(
            "{} threads build and drop lists, trees and arrays in a heap of at most {} MiB.",
            options.threads, options.mib)));
    std::size_t refused = 0;
    heap.for_each_barrier_reason([&](const char*, const char*) { ++refused; });
    terminal_.line(fmt::format("Write barrier: {}.{}", heap.barrier(),
                               refused != 0 ? " Why no better one: weir doctor." : ""));
  }
  // Collections since the last look are told as one line.
  void look(const weir_statistics& now) {
    if (silent_) return;
    if (now.collections != before_.collections) {
      const auto count = now.collections - before_.collections;
      terminal_.line(fmt::format(
          "collections: {:>4} minor {:>3} full: pause {:>6.2f} ms, {:>6.1f} MiB live, {:>6.1f} "
          "freed",
          now.minor_collections, now.full_collections,
          static_cast<double>(now.collection_ns - before_.collection_ns) / 1e6 /
              static_cast<double>(count),
          static_cast<double>(now.live_bytes) / kMiB, static_cast<double>(now.freed_bytes) / kMiB));
      before_ = now;
    }
    if (terminal_.is_live()) draw(now);
  }
  // While the threads still allocate; what is drawn last stays.
  void last_look(const weir_statistics& now) {
    look(now);
    if (silent_) return;
    draw(now);
    terminal_.show_picture();
    terminal_.drop_picture();
  }
  void on_end(const weir_statistics& end, const Work& work) {
    if (silent_) return;
    say_pauses("minor", end.minor_collections, end.minor_pause_ns_p50, end.minor_pause_ns_max);
    say_pauses("full", end.full_collections, end.full_pause_ns_p50, end.full_pause_ns_max);
    terminal_.line(
        fmt::format("{:.0f} MiB allocated.", static_cast<double>(end.allocated_bytes) / kMiB));
    terminal_.line(work.wrong == 0
                       ? terminal_.styled(Style::green, fmt::format("All {} shapes were whole.",
                                                                    work.checked.load()))
                       : terminal_.styled(Style::red, "Shapes were damaged."));
  }

 private:
  void say_pauses(const char* kind, std::uint64_t count, std::uint64_t p50, std::uint64_t longest) {
    if (count == 0) return;
    terminal_.line(fmt::format(
        "{} {} collections, pauses: half below {:.2f} ms, the longest {:.2f} ms.", count, kind,
        static_cast<double>(p50) / 1e6, static_cast<double>(longest) / 1e6));
  }
  void draw(const weir_statistics& now) {
    terminal_.set_picture(picture_of(blocks_of(mutator_), now, terminal_));
  }

  const bool silent_;
  MutatorRef mutator_;
  demo::Terminal terminal_;
  weir_statistics before_{};
};

std::string to_json(const Options& options, const Heap& heap, const weir_statistics& end,
                    const Work& work, const std::vector<weir_block>& blocks) {
  constexpr const char* kNames[] = {"free", "owned", "filled", "unswept", "swept", "large"};
  nlohmann::ordered_json json = {{"seconds", options.seconds},
                                 {"threads", options.threads},
                                 {"seed", options.seed},
                                 {"barrier", heap.barrier()},
                                 {"collections", end.collections},
                                 {"minor_collections", end.minor_collections},
                                 {"full_collections", end.full_collections},
                                 {"pause_ns_p50", end.pause_ns_p50},
                                 {"pause_ns_max", end.pause_ns_max},
                                 {"minor_pause_ns_p50", end.minor_pause_ns_p50},
                                 {"minor_pause_ns_max", end.minor_pause_ns_max},
                                 {"full_pause_ns_p50", end.full_pause_ns_p50},
                                 {"full_pause_ns_max", end.full_pause_ns_max},
                                 {"allocated_bytes", end.allocated_bytes},
                                 {"live_bytes", end.live_bytes},
                                 {"freed_bytes", end.freed_bytes},
                                 {"heap_bytes", end.heap_bytes},
                                 {"nursery_bytes", end.nursery_bytes},
                                 {"pages_armed", end.pages_armed},
                                 {"pages_hot", end.pages_hot},
                                 {"traps", end.traps},
                                 {"blocks", nlohmann::ordered_json::object()},
                                 {"checked", work.checked.load()},
                                 {"wrong", work.wrong.load()},
                                 {"refused", work.refused.load()},
                                 {"verdict", work.wrong == 0 ? "ok" : "differs"}};
  for (const char* name : kNames) json["blocks"][name] = 0;
  for (const weir_block& block : blocks) {
    auto& count = json["blocks"][kNames[block.state]];
    count = count.get<int>() + 1;
  }
  return json.dump(2);
}

class Threads {
 public:
  Threads(Heap& heap, Work& work, const Options& options) : work_(work), failed_(options.threads) {
    for (std::size_t i = 0; i < options.threads; ++i)
      threads_.emplace_back([this, &heap, seed = options.seed + i, i] {
        failed_[i] = run_worker(heap, work_, seed);
      });
  }
  ~Threads() { end(); }
  void end() {
    work_.stop = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  // After end().
  Expected<> result() const {
    for (const auto& done : failed_)
      if (!done) return done;
    return {};
  }

 private:
  Work& work_;
  std::vector<Expected<>> failed_;
  std::vector<std::thread> threads_;
};

Expected<ExitCode> run(const Options& options) {
  weir_config config = default_config();
  config.maximum_bytes = options.mib << 20;
  config.minimum_bytes = config.maximum_bytes / 2;
  auto heap = Heap::create(config);
  if (!heap) return Unexpected(heap.error());
  const auto node = heap->define<Node>("node");
  if (!node) return Unexpected(node.error());
  auto mutator = heap->attach({WEIR_STOP_POLL, false, nullptr});
  if (!mutator) return Unexpected(mutator.error());

  Work work{.node = *node, .shapes = options.mib * 16 / options.threads};
  View view(options, *mutator);
  view.on_start(options, *heap);
  Threads threads(*heap, work, options);
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(options.seconds));
  while (Clock::now() < end) {
    {
      const Blocking scope(*mutator);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    view.look(heap->statistics());
  }
  view.last_look(heap->statistics());
  const auto blocks = blocks_of(*mutator);
  {
    const Blocking scope(*mutator);
    threads.end();
  }
  if (auto done = threads.result(); !done) return Unexpected(done.error());
  if (auto done = mutator->collect(); !done) return Unexpected(done.error());
  const weir_statistics statistics = heap->statistics();
  view.on_end(statistics, work);
  if (options.json) fmt::print("{}\n", to_json(options, *heap, statistics, work, blocks));
  if (work.wrong == 0) return ExitCode::ok;
  fmt::print(stderr, "heap_demo: {} shapes were damaged; seed {}\n", work.wrong.load(),
             options.seed);
  return ExitCode::differs;
}

ExitCode parse_and_run(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (const ExitCode* done = std::get_if<ExitCode>(&options)) return *done;
  const auto done = run(std::get<Options>(options));
  if (done) return *done;
  fmt::print(stderr, "heap_demo: {}\n", done.error().message());
  return ExitCode::not_here;
}

}  // namespace
}  // namespace weir::heap_demo

int main(int argc, char** argv) {
  return weir::demo::run_main("heap_demo",
                              [&] { return weir::heap_demo::parse_and_run(argc, argv); });
}
