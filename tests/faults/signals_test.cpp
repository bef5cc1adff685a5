// Signals while faults wait for their answer, in user code and in system calls.
#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "tests/faults/rig.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

std::atomic<std::size_t> signals_handled{0};
void count_signal(int) {
  signals_handled.fetch_add(1);
}

void on_signal(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  REQUIRE(::sigaction(signal, &action, nullptr) == 0);
}

TEST_CASE("a signal during a blocked fault runs at once, and the fault is answered all the same") {
  if (kThreadSanitizer)
    return print_skip("signals: during a fault",
                      "ThreadSanitizer keeps signals back until the next system call");
  auto server = start_or_skip("signals: during a fault", Delivery::thread);
  if (server == nullptr) return;
  auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
  OracleSource oracle(seed_for("signals: during a fault"), 4);
  HeldSource source(oracle);
  REQUIRE(server->serve_missing(memory.range(), source));
  on_signal(SIGUSR1, count_signal);
  std::atomic<int> wrong{0};
  std::jthread toucher([&] {
    if (!oracle.matches(memory.range().begin, 0)) wrong.fetch_add(1);
  });
  while (source.asked.load() == 0) ::sched_yield();
  for (std::size_t i = 1; i <= 20; ++i) {  // each makes the thread fault anew
    const std::size_t before = signals_handled.load();
    ::pthread_kill(toucher.native_handle(), SIGUSR1);
    while (signals_handled.load() == before) ::sched_yield();
  }
  source.may_fill = true;
  toucher.join();
  CHECK(wrong.load() == 0);
  REQUIRE(server->release(memory.range()));
}

sem_t is_stopped, may_resume;
void stop_here(int) {
  ::sem_post(&is_stopped);
  while (::sem_wait(&may_resume) != 0) {
  }
}

TEST_CASE("the world stops although a thread is inside read(2) on a page to be filled") {
  FaultServer::Options options;
  options.require_full = true;
  auto server = start_or_skip("signals: stop the world", Delivery::thread, options);
  if (server == nullptr) return;
  ::sem_init(&is_stopped, 0, 0);
  ::sem_init(&may_resume, 0, 0);
  on_signal(SIGUSR2, stop_here);
  auto memory = *os::Mapping::anonymous(page_size(), os::HugePages::never);
  OracleSource oracle(1, 1);
  HeldSource source(oracle);
  REQUIRE(server->serve_missing(memory.range(), source));
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "weir", 4) == 4);
  std::atomic<ssize_t> got{0};
  std::jthread reader([&] { got = ::read(ends[0], memory.as(), 4); });
  while (source.asked.load() == 0) ::sched_yield();  // it is in the kernel
  ::pthread_kill(reader.native_handle(), SIGUSR2);
  source.may_fill = true;  // the server is live while the world stops
  while (::sem_wait(&is_stopped) != 0) {
  }
  ::sem_post(&may_resume);
  reader.join();
  CHECK(got.load() == 4);
  CHECK(std::memcmp(memory.as(), "weir", 4) == 0);
  CHECK(std::memcmp(memory.as() + 4, oracle.page(0) + 4, page_size() - 4) == 0);
  ::close(ends[0]);
  ::close(ends[1]);
  REQUIRE(server->release(memory.range()));
}

TEST_CASE("a storm of signals during missing and write faults, by stores and by system calls") {
  const std::uint64_t seed = seed_for("signals: storm");
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    FaultServer::Options options;
    options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
    auto server = start_or_skip("signals: storm", delivery, options);
    if (server == nullptr) continue;
    // By SIGBUS, a system call on such a page gets EFAULT.
    const bool by_system_call = delivery == Delivery::thread && server->is_full();
    const std::size_t pages = scaled(1'000) + 100;
    auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
    const Range range = memory.range();
    OracleSource source(seed, pages);
    Watcher watcher(range);
    watcher.server = server.get();
    REQUIRE(server->serve_missing(range, source));
    REQUIRE(server->watch_writes(range, watcher));
    watcher.arm(0, pages);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);

    on_signal(SIGALRM, count_signal);
    const std::size_t before = signals_handled.load();
    const itimerval often{{0, 200}, {0, 200}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < pages; ++i) {
      const Address page = page_of(range, i).begin;
      const bool first_read = i % 4 < 2;
      if (first_read && !source.matches(page, i)) ++wrong;  // missing, then protected
      if (by_system_call && i % 2 == 0) {
        if (::write(ends[1], "x", 1) != 1 || ::read(ends[0], page.as(), 1) != 1) ++wrong;
      } else {
        poke(page, 'x');
      }
      if (peek(page) != 'x' || !watcher.is_dirty(i) ||
          std::memcmp((page + 1).as(), source.page(i) + 1, page_size() - 1) != 0)
        ++wrong;
    }
    while (signals_handled.load() == before) ::sched_yield();
    const itimerval never = {};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    CHECK(wrong == 0);
    ::close(ends[0]);
    ::close(ends[1]);
    REQUIRE(server->release(range));
  }
}

}  // namespace
}  // namespace weir
