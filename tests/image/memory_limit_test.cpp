// A memory cgroup at its limit while clusters are brought in: whoever touches what cannot be had
// gets SIGBUS, after a sentence, and nobody waits for ever.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/image/oracle.hpp"
#include "tests/os/child.hpp"
#include "tests/support/setting.hpp"

using namespace weir::test;

namespace {

constexpr std::size_t kBytes = std::size_t{48} << 20;
constexpr std::size_t kRoom = std::size_t{8} << 20;

bool write_text(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool done =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  return done;
}

// A memory cgroup of the first version below our own, whose OOM killer is off: charges fail there
// instead. (The second version kills always, which needs no test of ours.)
class MemoryGroup {
 public:
  MemoryGroup() {
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
      const auto at = line.find(":memory:");
      if (at == std::string::npos) continue;
      path_ = "/sys/fs/cgroup/memory" + line.substr(at + 8) + "/weir-test-" +
              std::to_string(::getpid());
      if (::mkdir(path_.c_str(), 0755) != 0) path_.clear();
    }
  }
  ~MemoryGroup() {
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;
  bool enter() const {
    return !path_.empty() && write_text(path_ + "/memory.oom_control", "1") &&
           write_text(path_ + "/cgroup.procs", std::to_string(::getpid()));
  }
  bool limit(std::size_t more) const {
    std::size_t used = 0;
    std::ifstream(path_ + "/memory.usage_in_bytes") >> used;
    return write_text(path_ + "/memory.limit_in_bytes", std::to_string(used + more));
  }

 private:
  std::string path_;
};

void save_noise(const TestPath& path) {
  weir_config config = small_heap();
  config.maximum_bytes = 4 * kBytes;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kPrecise);
  TestFrame<1> frame(mutator);
  auto* words = static_cast<std::uint64_t*>(weir_allocate(mutator, WEIR_KIND_LEAF, kBytes));
  REQUIRE(words != nullptr);
  frame[0] = words;
  Random random(seed_for("memory limit"));
  for (std::size_t i = 0; i < kBytes / 8; ++i) words[i] = random();
  save(mutator, path, words);
}

}  // namespace

TEST_CASE("46: no memory for a missing page: SIGBUS for who touches it, and a sentence") {
  const TestPath path("image");
  save_noise(path);
  for (const char* delivery : {"thread", "sigbus"}) {
    CAPTURE(std::string(delivery));
    const Setting by("WEIR_DELIVERY", delivery);
    const MemoryGroup group;
    // Memory that is charged to us already: the child could not even fill a pipe.
    const int errors = ::memfd_create("errors", MFD_CLOEXEC);
    char said[4096] = {};
    REQUIRE(::pwrite(errors, said, sizeof said, 0) == sizeof said);
    constexpr int kNoGroup = 3;
    const ChildResult child = in_child([&](auto&&) {
      if (!group.enter()) return kNoGroup;
      std::signal(SIGBUS, SIG_DFL);
      ::dup2(errors, STDERR_FILENO);
      const TestHeap heap(small_heap());
      weir_image* image = open_image(heap, path);
      const auto* words = static_cast<const volatile std::uint64_t*>(root_of(image));
      if (!group.limit(kRoom)) return kNoGroup;
      for (std::size_t i = 0; i < kBytes / 8; i += 512) (void)words[i];
      return 0;
    });
    if (child.exit_code == kNoGroup) {
      MESSAGE("skipped: no memory cgroup of the first version to be had");
      return;
    }
    CHECK_MESSAGE(child.signal == SIGBUS, child.text << " exit " << child.exit_code);
    REQUIRE(::pread(errors, said, sizeof said - 1, 0) > 0);
    CHECK_MESSAGE(std::string(said).find("no memory for a missing page") != std::string::npos,
                  said);
    ::close(errors);
  }
}
