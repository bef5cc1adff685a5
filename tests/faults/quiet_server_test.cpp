// A server that nobody waits for costs nothing, and one that is waited for allocates nothing
// [quiet-server].
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "tests/faults/rig.hpp"

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define WEIR_COUNTS_ALLOCATIONS 1
#endif

namespace {
thread_local bool counts_here = false;  // a thread that must not allocate any more
std::atomic<std::size_t> allocations{0};
}  // namespace

#ifdef WEIR_COUNTS_ALLOCATIONS
// In front of the program's allocator, whichever it is.
extern "C" void* malloc(std::size_t bytes) {
  using Malloc = void* (*)(std::size_t);
  static Malloc next = nullptr;
  if (next == nullptr) next = reinterpret_cast<Malloc>(::dlsym(RTLD_NEXT, "malloc"));
  if (counts_here) allocations.fetch_add(1);
  return next(bytes);
}
void* operator new(std::size_t bytes) {
  if (void* memory = std::malloc(bytes)) return memory;
  std::abort();
}
void* operator new[](std::size_t bytes) {
  return operator new(bytes);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

// Notes the thread that it is called from.
struct NotingSource final : faults::PageSource {
  explicit NotingSource(OracleSource& behind) : oracle(behind) {}
  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override {
    server_thread = ::pthread_self();
    counts_here = watches_allocations;
    return oracle.fill(offset, filler);
  }
  bool is_filled(std::size_t offset) const noexcept override { return oracle.is_filled(offset); }
  void removed(std::size_t offset, std::size_t bytes) noexcept override {
    oracle.removed(offset, bytes);
  }
  OracleSource& oracle;
  std::atomic<pthread_t> server_thread{};
  std::atomic<bool> watches_allocations{false};
};

TEST_CASE("the server allocates nothing in the path of a fault") {
#ifndef WEIR_COUNTS_ALLOCATIONS
  print_skip("quiet server: allocations", "a sanitizer has malloc to itself");
#else
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
  auto server = start_or_skip("quiet server: allocations", Delivery::thread, options);
  if (server == nullptr) return;
  const std::size_t pages = 300;
  auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
  OracleSource oracle(5, pages, 2);
  NotingSource source(oracle);
  Watcher watcher(memory.range());
  watcher.server = server.get();
  REQUIRE(server->serve_missing(memory.range(), source));
  REQUIRE(server->watch_writes(memory.range(), watcher));
  source.watches_allocations = true;  // from the very first fault on
  watcher.arm(0, pages);
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (std::size_t i = t; i < pages; i += 2) {
          (void)peek(page_of(memory.range(), i).begin);
          poke(page_of(memory.range(), i).begin, 'x');
        }
      });
  }
  CHECK(watcher.traps.load() != 0);
  CHECK(allocations.load() == 0);
  counts_here = true;  // and the counter counts
  void* volatile memory_of_its_own = std::malloc(pages);
  std::free(memory_of_its_own);
  counts_here = false;
  CHECK(allocations.load() != 0);
  allocations = 0;
  source.watches_allocations = false;
  REQUIRE(server->release(memory.range()));
#endif
}

TEST_CASE("an idle server sleeps") {
  auto server = start_or_skip("quiet server: idle", Delivery::thread);
  if (server == nullptr) return;
  auto memory = *os::Mapping::anonymous(8 * page_size(), os::HugePages::never);
  OracleSource oracle(5, 8);
  NotingSource source(oracle);
  REQUIRE(server->serve_missing(memory.range(), source));
  (void)peek(memory.range().begin);
  clockid_t clock;
  REQUIRE(::pthread_getcpuclockid(source.server_thread, &clock) == 0);
  const auto nanoseconds = [&] {
    timespec now;
    REQUIRE(::clock_gettime(clock, &now) == 0);
    return now.tv_sec * 1'000'000'000L + now.tv_nsec;
  };
  ::usleep(100'000);  // it may still be on its way back to sleep
  const std::size_t wakeups = server->counters().wakeups;
  const long before = nanoseconds();
  ::sleep(1);
  CHECK(nanoseconds() - before < 5'000'000);  // 0.5 % of a core
  CHECK(server->counters().wakeups == wakeups);
  REQUIRE(server->release(memory.range()));
}

}  // namespace
}  // namespace weir
