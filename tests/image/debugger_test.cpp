// A debugger and a core dump read memory that is not there yet: neither fills a page, and neither
// hangs the process.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>

#include "tests/image/oracle.hpp"
#include "tests/os/child.hpp"
#include "tests/support/setting.hpp"

using namespace weir::test;

namespace {

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return text;
  char piece[512];
  while (std::fgets(piece, sizeof piece, pipe) != nullptr) text += piece;
  ::pclose(pipe);
  return text;
}

}  // namespace

TEST_CASE("48: gdb attaches, looks at a lazy page and goes; the process fills it afterwards") {
  if (std::system("gdb --version >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: gdb is not installed");
    return;
  }
  const OracleGraph graph({.objects = 2000, .seed = seed_for("debugger")});
  const TestPath path("image");
  save_graph(graph, path);
  for (const char* delivery : {"thread", "sigbus"}) {
    CAPTURE(std::string(delivery));
    const Setting by("WEIR_DELIVERY", delivery);
    int ready[2], go_on[2];
    REQUIRE(::pipe(ready) == 0);
    REQUIRE(::pipe(go_on) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::alarm(120);
      const TestHeap heap(small_heap());
      const Kinds kinds(heap);
      weir_image* image = open_image(heap, path);
      const void* table = root_of(image);
      (void)!::write(ready[1], &table, sizeof table);
      char word = 0;
      (void)!::read(go_on[0], &word, 1);
      const bool is_lazy = statistics_of(image).filled_clusters == 0;
      graph.check(table);
      ::_exit(is_lazy ? 0 : 1);
    }
    void* table = nullptr;
    REQUIRE(::read(ready[0], &table, sizeof table) == sizeof table);
    char command[200];
    std::snprintf(
        command, sizeof command,
        "timeout -s KILL 60 gdb -nx -batch -p %d -ex 'x/2gx %p' -ex 'info threads' </dev/null",
        static_cast<int>(child), table);
    const std::string text = output_of(command);
    if (text.find("ptrace: Operation not permitted") != std::string::npos)
      MESSAGE("skipped: no process may be traced here");
    else
      CHECK_MESSAGE(text.find("Cannot access memory") != std::string::npos, text);
    REQUIRE(::write(go_on[1], "!", 1) == 1);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    for (const int fd : {ready[0], ready[1], go_on[0], go_on[1]}) ::close(fd);
  }
}

TEST_CASE("48: a core dump of a process with lazy pages comes to its end") {
  const OracleGraph graph({.objects = 2000, .seed = seed_for("core dump")});
  const TestPath path("image");
  save_graph(graph, path);
  for (const char* delivery : {"thread", "sigbus"}) {
    CAPTURE(std::string(delivery));
    const Setting by("WEIR_DELIVERY", delivery);
    const ChildResult child = in_child([&](auto&&) {
      const struct rlimit limit = {std::size_t{1} << 30, std::size_t{1} << 30};
      if (::setrlimit(RLIMIT_CORE, &limit) != 0 || ::chdir(path.folder().c_str()) != 0) return 1;
      const TestHeap heap(small_heap());
      const Kinds kinds(heap);
      weir_image* image = open_image(heap, path);
      graph.check_object(root_of(image), 1);  // some of it is there
      std::abort();
    });
    CHECK_MESSAGE(child.signal == SIGABRT, child.text << " exit " << child.exit_code);
    for (const auto& entry : std::filesystem::directory_iterator(path.folder()))
      if (entry.path() != path.string()) std::filesystem::remove(entry.path());
  }
}
