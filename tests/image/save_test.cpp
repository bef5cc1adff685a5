// Saves that do not end well: killed at every step, on a full disk, in folders that are not there.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "runtime/image/save_injection.hpp"
#include "tests/image/oracle.hpp"

using namespace weir::test;

namespace {

const std::uint64_t kFirstSeed = 11;
const std::uint64_t kSecondSeed = 22;

// Saves a graph in this process; false, with the reason, if that fails.
bool save_seed(const TestPath& path, std::uint64_t seed, std::size_t objects = 500) {
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  const OracleGraph graph({.objects = objects, .seed = seed});
  TestFrame<1> frame(mutator);
  frame[0] = graph.build(mutator, kinds);
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  const weir_image_root roots[] = {{"table", frame[0]}};
  config.roots = roots;
  config.root_count = 1;
  config.user_data = &seed;
  config.user_bytes = sizeof seed;
  return weir_image_save(mutator, path.c_str(), &config) == WEIR_OK;
}

// Which of the two it is; it is whole.
std::uint64_t seed_in(const TestPath& path, std::size_t objects = 500) {
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  weir_image* image = open_image(heap, path);
  std::uint64_t seed = 0;
  std::size_t bytes = 0;
  std::memcpy(&seed, weir_image_user_data(image, &bytes), sizeof seed);
  const OracleGraph graph({.objects = objects, .seed = seed});
  graph.check(root_of(image));
  return seed;
}

std::size_t files_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

std::atomic<int> steps_left{0};

void kill_at_step(const char*) {
  if (steps_left.fetch_sub(1) == 1) ::kill(::getpid(), SIGKILL);
}

}  // namespace

TEST_CASE("66: killed at every step of a save, there is the old image or the new one") {
  const TestPath path("image");
  REQUIRE(save_seed(path, kFirstSeed));
  bool was_new = false;
  int step = 1;
  for (;; ++step) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      steps_left = step;
      weir::image::SaveInjection::before = kill_at_step;
      ::_exit(save_seed(path, kSecondSeed) ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    const std::uint64_t seed = seed_in(path);
    CHECK((seed == kFirstSeed || seed == kSecondSeed));
    CHECK((!was_new || seed == kSecondSeed));
    was_new = seed == kSecondSeed;
    if (WIFEXITED(status)) {
      CHECK(WEXITSTATUS(status) == 0);
      CHECK(was_new);
      break;
    }
    CHECK(WTERMSIG(status) == SIGKILL);
  }
  CHECK(step > 6);
  for (const auto& entry : std::filesystem::directory_iterator(path.folder()))
    if (entry.path() != path.string()) std::filesystem::remove(entry.path());
}

TEST_CASE("a full disk: the old image, no remains, and a sentence with what is missing") {
  const TestPath path("image");
  REQUIRE(save_seed(path, kFirstSeed));
  const std::size_t size = std::filesystem::file_size(path.string());
  struct rlimit before;
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {size / 2, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const bool saved = save_seed(path, kSecondSeed);
  const std::string message = weir_error_message();
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, old_action);
  CHECK(!saved);
  CHECK_MESSAGE(message.find(path.string()) != std::string::npos, message);
  CHECK_MESSAGE(message.find("bytes are missing") != std::string::npos, message);
  CHECK(seed_in(path) == kFirstSeed);
  CHECK(files_in(path.folder()) == 1);
}

TEST_CASE("what cannot be saved is refused with a sentence, and the heap goes on") {
  const TestHeap heap(small_heap());
  const Kinds kinds(heap);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  const OracleGraph graph({.objects = 100, .seed = 3});
  frame[0] = graph.build(mutator, kinds);
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  const TestPath path("image");
  const auto refused = [&](const char* where, const char* because) {
    CHECK(weir_image_save(mutator, where, &config) != WEIR_OK);
    CHECK_MESSAGE(std::string(weir_error_message()).find(because) != std::string::npos,
                  weir_error_message());
    CHECK(files_in(path.folder()) == 0);
  };
  refused("/nowhere/image", "/nowhere/image");
  refused("", "NULL or empty");
  const weir_image_root twice[] = {{"a", frame[0]}, {"a", frame[0]}};
  config.roots = twice;
  config.root_count = 2;
  refused(path.c_str(), "two roots are called 'a'");
  const weir_image_root inside[] = {{"a", static_cast<char*>(frame[0]) + 16}};
  config.roots = inside;
  config.root_count = 1;
  refused(path.c_str(), "not the start of an object");
  config.root_count = 0;
  config.codec = static_cast<weir_codec>(7);
  refused(path.c_str(), "codec");
  config.codec = WEIR_CODEC_ZLIB;

  weir_kind_config outside{};
  outside.name = "with a buffer outside";
  outside.tracing = WEIR_TRACE_CALLBACK;
  outside.trace = [](weir_visitor*, void*, size_t, size_t, void*) {};
  outside.reaches_off_heap = true;
  weir_kind kind = 0;
  REQUIRE(weir_kind_define(heap, &outside, &kind) == WEIR_OK);
  TestFrame<1> more(mutator);
  more[0] = weir_allocate(mutator, kind, 64);
  const weir_image_root reaching[] = {{"a", more[0]}};
  config.roots = reaching;
  config.root_count = 1;
  refused(path.c_str(), "with a buffer outside");
  graph.check(frame[0]);
  collect(mutator);
  graph.check(frame[0]);
}

TEST_CASE("nothing but the roots is saved; dead neighbours are zeros") {
  const TestHeap heap(small_heap());
  const TestMutator mutator(heap, kPrecise);
  TestFrame<2> frame(mutator);
  const TestPath path("image");
  auto** kept = static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, 64));
  frame[0] = kept;
  auto* secret = static_cast<char*>(weir_allocate(mutator, WEIR_KIND_SLOTS, 64));
  frame[1] = secret;  // alive, but not of the root
  std::memset(secret, 0x80, 64);
  save(mutator, path, kept, "kept");
  void* const address = kept;
  {
    const TestHeap second(small_heap());
    weir_image* image = open_image(second, path);
    auto* copy = static_cast<char*>(root_of(image, "kept"));
    for (std::ptrdiff_t i = 0; i < 64; ++i)
      CHECK(copy[secret - static_cast<char*>(address) + i] == 0);
  }
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  REQUIRE_MESSAGE(weir_image_save(mutator, path.c_str(), &config) == WEIR_OK,
                  weir_error_message());  // no roots: nothing
  const TestHeap third(small_heap());
  CHECK(statistics_of(open_image(third, path)).clusters == 0);
}
