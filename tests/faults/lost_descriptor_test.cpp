// Somebody closes our descriptor (closefrom(3) in a daemon, say), and may have its number next.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/faults/rig.hpp"
#include "tests/os/child.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

// The only userfaultfd of this process.
int its_number() {
  for (int fd = 3; fd < 1024; ++fd) {
    char link[64], target[64] = {};
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (::readlink(link, target, sizeof target - 1) > 0 &&
        std::string(target).find("[userfaultfd]") != std::string::npos)
      return fd;
  }
  return -1;
}

// As a program would do whose close(2) no sanitizer watches.
void close_behind_its_back(int fd) {
  ::syscall(SYS_close, fd);
}

FaultServer::Options watching() {
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
  return options;
}

// What takes the number over. The first leaves it free.
enum class Heir { none, pipe_with_data, userfaultfd };

TEST_CASE("noticed whatever has its number now, and write-watching recovers") {
  for (const Delivery delivery : kDeliveries) {
    for (const Heir heir : {Heir::none, Heir::pipe_with_data, Heir::userfaultfd}) {
      CAPTURE(name_of(delivery));
      CAPTURE(static_cast<int>(heir));
      auto server = start_or_skip("lost descriptor", delivery, watching());
      if (server == nullptr) continue;
      auto memory = *os::Mapping::anonymous(16 * page_size(), os::HugePages::never);
      Watcher watcher(memory.range());
      watcher.server = server.get();
      REQUIRE(server->watch_writes(memory.range(), watcher));
      watcher.arm(0, 16);
      poke(memory.range().begin, 'a');
      REQUIRE(watcher.traps.load() == 1);
      REQUIRE(server->is_alive());

      const int number = its_number();
      REQUIRE(number >= 0);
      int ends[2];
      REQUIRE(::pipe(ends) == 0);
      const std::string data(100, 'd');
      if (heir == Heir::none) close_behind_its_back(number);
      if (heir == Heir::pipe_with_data) {
        REQUIRE(::write(ends[1], data.data(), data.size()) == 100);
        REQUIRE(::dup2(ends[0], number) == number);
      }
      std::optional<Userfaultfd> other;
      if (heir == Heir::userfaultfd) {
        other = *Userfaultfd::Builder().create();
        REQUIRE(::dup2(other->fd(), number) == number);
      }
      CHECK(!server->is_alive());
      for (int round = 0; round < 3; ++round) {  // a recovery of what is well does nothing
        const auto recovered = server->recover();
        REQUIRE_MESSAGE(recovered, recovered.error().message());
        CHECK(server->is_alive());
        CHECK(watcher.losses.load() == 1);
      }
      CHECK(watcher.is_dirty(7));  // all counts as written
      watcher.arm(0, 16);
      for (std::size_t i = 0; i < 16; ++i) {
        poke(page_of(memory.range(), i).begin, 'b');
        CHECK(watcher.is_dirty(i));
      }
      CHECK(watcher.traps.load() == 17);
      if (heir == Heir::pipe_with_data) {  // nobody read from it
        char got[128];
        REQUIRE(::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
        CHECK(::read(ends[0], got, sizeof got) == 100);
      }
      CHECK(server->release(memory.range()));
      server.reset();
      if (heir != Heir::none) CHECK(::close(number) == 0);  // the heir's: not closed by us
      ::close(ends[0]);
      ::close(ends[1]);
    }
  }
}

TEST_CASE("a store that waits when the number has become another file goes on, and is recorded") {
  auto server = start_or_skip("lost descriptor: a store", Delivery::thread, watching());
  if (server == nullptr) return;
  auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
  Watcher watcher(memory.range());
  watcher.server = server.get();
  REQUIRE(server->watch_writes(memory.range(), watcher));
  watcher.arm(0, 4);
  poke(memory.range().begin, 'a');
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int number = its_number();
  REQUIRE(::dup2(ends[0], number) == number);  // never ready
  poke(page_of(memory.range(), 1).begin, 'b');
  CHECK(!server->is_alive());
  REQUIRE(server->recover());
  CHECK(watcher.is_dirty(1));
  watcher.arm(0, 4);
  poke(page_of(memory.range(), 2).begin, 'c');
  CHECK(watcher.is_dirty(2));
  CHECK(!watcher.is_dirty(3));
  CHECK(server->release(memory.range()));
  for (const int fd : {number, ends[0], ends[1]}) ::close(fd);
}

TEST_CASE("with pages to be filled the process stops with a sentence") {
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    if (start_or_skip("lost descriptor: lazy", delivery) == nullptr) continue;
    const auto child = in_child([&](auto) {
      ::dup2(ends[1], STDERR_FILENO);
      FaultServer::Options options;
      options.delivery = delivery;
      auto server = FaultServer::start(options);
      auto memory = *os::Mapping::anonymous(16 * page_size(), os::HugePages::never);
      OracleSource source(1, 16);
      if (!server || !(*server)->serve_missing(memory.range(), source)) return 1;
      if (!source.matches(memory.range().begin, 0)) return 2;
      close_behind_its_back(its_number());
      if (delivery == Delivery::thread) {
        (void)peek(page_of(memory.range(), 3).begin);
        ::pause();  // its handler thread ends the process
      }
      (void)!(*server)->recover();
      return 3;
    });
    CHECK_MESSAGE(child.signal == SIGABRT, child.text);
    ::close(ends[1]);
    std::string said(4096, '\0');
    CHECK(::read(ends[0], said.data(), said.size()) > 0);
    CHECK_MESSAGE(said.find("closed behind Weir's back") != std::string::npos, said);
    ::close(ends[0]);
  }
}

}  // namespace
}  // namespace weir
