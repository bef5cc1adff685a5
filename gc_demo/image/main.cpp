// A heap image, told step by step: a dictionary is built and saved; the next start has it at once,
// and pays for what it touches.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "gc_demo/image/dictionary.hpp"
#include "gc_demo/image/picture.hpp"
#include "gc_demo/shared/command_line.hpp"
#include "gc_demo/shared/terminal.hpp"
#include "tools/support/progress_bar.hpp"

namespace weir::image_demo {
namespace {

using demo::ExitCode;
using demo::Style;
using Clock = std::chrono::steady_clock;

struct Options {
  std::size_t words = 100'000;
  std::size_t look_ups = 10;
  std::string file;
};

double milliseconds_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

double mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// A heap of this process, and the thread's access to it; they end with the scope.
class Session {
 public:
  Session() {
    if (weir_heap_create(nullptr, &heap) != WEIR_OK ||
        weir_mutator_attach(heap, nullptr, &mutator) != WEIR_OK)
      throw std::runtime_error(weir_error_message());
  }
  ~Session() {
    (void)weir_mutator_detach(mutator);
    (void)weir_heap_destroy(heap, false);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  weir_heap* heap = nullptr;
  weir_mutator* mutator = nullptr;
};

void must(weir_status status) {
  if (status != WEIR_OK) throw std::runtime_error(weir_error_message());
}

class Story {
 public:
  explicit Story(const Options& options) : options_(options) {}

  void first_run() {
    const Session session;
    auto began = Clock::now();
    void* slots[1] = {};
    weir_frame frame{nullptr, 1, slots};
    weir_frame_enter(session.mutator, &frame);
    slots[0] = Dictionary::build(session.mutator, options_.words);
    if (slots[0] == nullptr) throw std::runtime_error("no memory for the dictionary");
    say("The first run builds a dictionary of {} words: {:.0f} ms.", options_.words,
        milliseconds_since(began));
    began = Clock::now();
    weir_image_save_config config;
    weir_image_save_config_init(&config);
    const weir_image_root roots[] = {{"dictionary", slots[0]}};
    config.roots = roots;
    config.root_count = 1;
    support::ProgressBar bar;
    config.progress = [](std::uint64_t done, std::uint64_t all, void* data) {
      static_cast<support::ProgressBar*>(data)->show(done, all);
    };
    config.progress_data = &bar;
    must(weir_image_save(session.mutator, options_.file.c_str(), &config));
    struct stat status = {};
    (void)::stat(options_.file.c_str(), &status);
    say("It saves its heap: {:.0f} ms, {:.1f} MiB on disk.", milliseconds_since(began),
        mib(static_cast<std::uint64_t>(status.st_size)));
    weir_frame_leave(session.mutator, &frame);
  }

  bool second_run() {
    const Session session;
    auto began = Clock::now();
    weir_image* image = nullptr;
    must(weir_image_open(session.heap, options_.file.c_str(), nullptr, &image));
    say("The next run opens the image: {:.2f} ms. Nothing of it is in memory (a character for "
        "{} KiB).",
        milliseconds_since(began), statistics_of(image).cluster_bytes >> 10);
    show(image);
    void* dictionary = nullptr;
    must(weir_image_root_get(image, "dictionary", &dictionary));
    began = Clock::now();
    bool is_right = true;
    for (std::size_t i = 0; i < options_.look_ups; ++i) {
      const std::size_t number = (i * 104729 + 17) % options_.words;
      is_right = is_right && Dictionary::look_up(dictionary, Dictionary::word(number)) ==
                                 Dictionary::meaning(number);
    }
    say("It looks up {} words, and what that touches is inflated: {:.2f} ms. '{}' is {}.",
        options_.look_ups, milliseconds_since(began), Dictionary::word(17),
        Dictionary::look_up(dictionary, Dictionary::word(17)));
    show(image);
    const auto before = statistics_of(image);
    is_right = is_right && Dictionary::change(session.mutator, dictionary, Dictionary::word(17),
                                              "what it says now");
    must(weir_collect_minor(session.mutator));
    must(weir_collect(session.mutator));
    say("It gives that word another meaning, a new object, and collects: the page was written "
        "(*),");
    say("and keeps the new object alive. Two collections inflated {} clusters.",
        statistics_of(image).filled_clusters - before.filled_clusters);
    show(image);
    is_right =
        is_right && Dictionary::look_up(dictionary, Dictionary::word(17)) == "what it says now";
    say("{} of {} clusters were needed, {:.2f} MiB of the file were read.",
        statistics_of(image).filled_clusters, statistics_of(image).clusters,
        mib(statistics_of(image).read_bytes));
    return is_right;
  }

 private:
  static weir_image_statistics statistics_of(weir_image* image) {
    weir_image_statistics statistics;
    weir_image_get_statistics(image, &statistics);
    return statistics;
  }
  template <class... Values>
  void say(fmt::format_string<Values...> text, Values&&... values) {
    terminal_.line(fmt::format(text, std::forward<Values>(values)...));
  }
  void show(weir_image* image) {
    for (const std::string& row : picture_of(image))
      terminal_.line(terminal_.styled(Style::cyan, row));
    terminal_.pause();
  }

  const Options& options_;
  demo::Terminal terminal_;
};

int run(int argc, char** argv) {
  CLI::App app(
      "A heap image: saved by one run, opened and inflated where it is touched by the next.");
  Options options;
  app.add_option("--words", options.words, "In the dictionary")
      ->check(CLI::Range(100, 10'000'000))
      ->capture_default_str();
  app.add_option("--look-ups", options.look_ups, "In the second run")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--file", options.file, "The image, which stays (a temporary one otherwise)");
  app.footer("Exit: 0 all as it should be, 1 something differs, 2 usage, 3 not possible here.");
  if (const auto end = demo::read_command_line("image_demo", app, argc, argv))
    return static_cast<int>(*end);
  std::string folder;
  if (options.file.empty()) {
    const char* tmpdir = std::getenv("TMPDIR");
    folder = std::string(tmpdir != nullptr ? tmpdir : "/tmp") + "/weir-image-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    options.file = folder + "/dictionary.image";
  }
  Story story(options);
  bool is_right = false;
  try {
    story.first_run();
    is_right = story.second_run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "image_demo: {}\n", error.what());
    if (!folder.empty()) (::unlink(options.file.c_str()), ::rmdir(folder.c_str()));
    return static_cast<int>(ExitCode::not_here);
  }
  if (!folder.empty()) (::unlink(options.file.c_str()), ::rmdir(folder.c_str()));
  return static_cast<int>(is_right ? ExitCode::ok : ExitCode::differs);
}

}  // namespace
}  // namespace weir::image_demo

int main(int argc, char** argv) {
  return weir::demo::run_main("image_demo", [&] { return weir::image_demo::run(argc, argv); });
}
