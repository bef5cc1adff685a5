// heap_demo: threads that allocate and drop, and a picture of the heap that they do it in.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "gc_demo/heap/options.hpp"
#include "gc_demo/heap/picture.hpp"
#include "gc_demo/heap/worker.hpp"

namespace weir::heap_demo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMiB = 1 << 20;

class View {
 public:
  View(const Options& options, MutatorRef mutator)
      : silent_(options.json || options.quiet), mutator_(mutator) {}

  void on_start(const Options& options) {
    if (silent_) return;
    terminal_.line(terminal_.styled(
        Style::bold,
        fmt::format(
            "{} threads build and drop lists, trees and arrays in a heap of at most {} MiB.",
            options.threads, options.mib)));
  }
  // Collections since the last look are told as one line.
  void look(const weir_statistics& now) {
    if (silent_) return;
    if (now.collections != before_.collections) {
      const auto count = now.collections - before_.collections;
      terminal_.line(fmt::format(
          "collection {:>4}: pause {:>6.2f} ms, {:>6.1f} MiB live, {:>6.1f} MiB freed",
          now.collections,
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
    terminal_.line(
        fmt::format("{} collections, pauses: half below {:.2f} ms, the longest {:.2f} ms. {:.0f} "
                    "MiB allocated.",
                    end.collections, static_cast<double>(end.pause_ns_p50) / 1e6,
                    static_cast<double>(end.pause_ns_max) / 1e6,
                    static_cast<double>(end.allocated_bytes) / kMiB));
    terminal_.line(work.wrong == 0
                       ? terminal_.styled(Style::green, fmt::format("All {} shapes were whole.",
                                                                    work.checked.load()))
                       : terminal_.styled(Style::red, "Shapes were damaged."));
  }

 private:
  void draw(const weir_statistics& now) {
    terminal_.set_picture(picture_of(blocks_of(mutator_), now, terminal_));
  }

  const bool silent_;
  MutatorRef mutator_;
  demo::Terminal terminal_;
  weir_statistics before_{};
};

std::string to_json(const Options& options, const weir_statistics& end, const Work& work,
                    const std::vector<weir_block>& blocks) {
  constexpr const char* kNames[] = {"free", "owned", "filled", "unswept", "swept", "large"};
  nlohmann::ordered_json json = {{"seconds", options.seconds},
                                 {"threads", options.threads},
                                 {"seed", options.seed},
                                 {"collections", end.collections},
                                 {"pause_ns_p50", end.pause_ns_p50},
                                 {"pause_ns_max", end.pause_ns_max},
                                 {"allocated_bytes", end.allocated_bytes},
                                 {"live_bytes", end.live_bytes},
                                 {"freed_bytes", end.freed_bytes},
                                 {"heap_bytes", end.heap_bytes},
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
  view.on_start(options);
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
  if (options.json) fmt::print("{}\n", to_json(options, statistics, work, blocks));
  if (work.wrong == 0) return ExitCode::ok;
  fmt::print(stderr, "heap_demo: {} shapes were damaged; seed {}\n", work.wrong.load(),
             options.seed);
  return ExitCode::differs;
}

}  // namespace
}  // namespace weir::heap_demo

int main(int argc, char** argv) {
  using namespace weir::heap_demo;
  const auto options = parse_options(argc, argv);
  if (const ExitCode* done = std::get_if<ExitCode>(&options)) return static_cast<int>(*done);
  const auto done = run(std::get<Options>(options));
  if (done) return static_cast<int>(*done);
  fmt::print(stderr, "heap_demo: {}\n", done.error().message());
  return static_cast<int>(ExitCode::not_here);
}
