// How faults get to their answer and back: signals, many threads and servers, races with other
// fillers, an address space that changes meanwhile, and a server that costs nothing when idle.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <barrier>
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

// Fills when it is told to.
struct HeldSource final : faults::PageSource {
  explicit HeldSource(OracleSource& behind) : oracle(behind) {}
  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override {
    asked.fetch_add(1);
    while (!may_fill.load()) ::sched_yield();
    return oracle.fill(offset, filler);
  }
  bool is_filled(std::size_t offset) const noexcept override { return oracle.is_filled(offset); }
  void removed(std::size_t, std::size_t) noexcept override {}
  OracleSource& oracle;
  std::atomic<int> asked{0};
  std::atomic<bool> may_fill{false};
};

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
    return print_skip("delivery: signal during a fault",
                      "ThreadSanitizer keeps signals back until the next system call");
  auto server = start_or_skip("delivery: signal during a fault", Delivery::thread);
  if (server == nullptr) return;
  auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
  OracleSource oracle(seed_for("delivery: signal during a fault"), 4);
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
  auto server = start_or_skip("delivery: stop the world", Delivery::thread, options);
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
  const std::uint64_t seed = seed_for("delivery: storm");
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    FaultServer::Options options;
    options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
    auto server = start_or_skip("delivery: storm", delivery, options);
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

TEST_CASE("many servers, each with many threads") {
  const std::uint64_t seed = seed_for("delivery: many servers");
  struct One {
    os::Mapping memory;
    std::unique_ptr<OracleSource> source;
    std::unique_ptr<FaultServer> server;  // goes first, and fills the rest
  };
  const std::size_t pages = scaled(200);
  std::vector<One> all;
  for (int i = 0; i < 6; ++i) {
    auto server = start_or_skip("delivery: many servers", kDeliveries[i % 2]);
    if (server == nullptr) return;
    all.push_back({*os::Mapping::anonymous(pages * page_size(), os::HugePages::never),
                   std::make_unique<OracleSource>(seed + i, pages), std::move(server)});
    REQUIRE(all.back().server->serve_missing(all.back().memory.range(), *all.back().source));
  }
  std::atomic<std::size_t> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        Random random(seed + t);
        for (std::size_t i = 0; i < pages * 8; ++i) {
          const One& one = all[random() % all.size()];
          const std::size_t page = random() % pages;
          if (!one.source->matches(page_of(one.memory.range(), page).begin, page))
            wrong.fetch_add(1);
        }
      });
    }
  }
  CHECK(wrong.load() == 0);
}

TEST_CASE("a prefetcher and two touchers race for each page: nobody is left asleep") {
  auto uffd = open_or_skip("delivery: prefetcher", Userfaultfd::Builder());
  if (!uffd) return;
  const std::size_t pages = 64, rounds = scaled(1'000);
  auto memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
  const Range range = memory.range();
  OracleSource source(seed_for("delivery: prefetcher"), pages);
  faults::FaultSpace space;
  space.own(std::move(*uffd));
  REQUIRE(space.descriptor().register_range(range));
  space.table = faults::FaultSpace::Table().with(range, {&source, range.begin, nullptr});
  auto thread = faults::HandlerThread::start(space);
  REQUIRE(thread);
  std::atomic<std::size_t> wrong{0};
  std::barrier<> together(3);
  const auto touch = [&] {
    for (std::size_t i = 0; i < rounds; ++i) {
      together.arrive_and_wait();
      if (!source.matches(page_of(range, i % pages).begin, i % pages)) wrong.fetch_add(1);
      together.arrive_and_wait();
    }
  };
  {
    std::jthread a(touch), b(touch);
    for (std::size_t i = 0; i < rounds; ++i) {
      const Range page = page_of(range, i % pages);
      ::madvise(page.begin.as(), page.size, MADV_DONTNEED);
      together.arrive_and_wait();
      faults::PageFiller filler(space.descriptor(), range, range.begin, nullptr, {});
      if (source.fill(page.begin - range.begin, filler) != UffdOutcome::done) wrong.fetch_add(1);
      together.arrive_and_wait();
    }
  }
  CHECK(wrong.load() == 0);
  const auto info = space.descriptor().info();
  REQUIRE(info);
  CHECK(info->total == 0);  // nobody waits any more
}

TEST_CASE("one fill of a cluster wakes everybody who waits for one of its pages") {
  auto server = start_or_skip("delivery: batch", Delivery::thread);
  if (server == nullptr) return;
  for (std::size_t round = 0; round < scaled(200); ++round) {
    auto memory = *os::Mapping::anonymous(16 * page_size(), os::HugePages::never);
    OracleSource oracle(round, 16, 16);
    HeldSource source(oracle);
    REQUIRE(server->serve_missing(memory.range(), source));
    std::atomic<int> wrong{0}, begun{0};
    {
      std::vector<std::jthread> threads;
      for (std::size_t t = 0; t < 6; ++t) {
        threads.emplace_back([&, t] {
          begun.fetch_add(1);
          if (!oracle.matches(page_of(memory.range(), t * 3).begin, t * 3)) wrong.fetch_add(1);
        });
      }
      while (begun.load() != 6 || source.asked.load() == 0) ::sched_yield();
      source.may_fill = true;
    }
    CHECK(wrong.load() == 0);
    REQUIRE(server->release(memory.range()));
  }
}

TEST_CASE("the address space changes all the time: fills and protection are put off, not lost") {
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated,
                      UffdFeature::event_remove};
  auto server = start_or_skip("delivery: changing", Delivery::thread, options);
  if (server == nullptr) return;
  const std::size_t pages = scaled(2'000), given_up = 32;
  auto memory = *os::Mapping::anonymous((pages + given_up) * page_size(), os::HugePages::never);
  const Range range = memory.range();
  OracleSource source(seed_for("delivery: changing"), pages + given_up);
  Watcher watcher(range);
  watcher.server = server.get();
  REQUIRE(server->serve_missing(range, source));
  REQUIRE(server->watch_writes(range, watcher));
  const Range tail = page_of(range, pages, given_up);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> wrong{0};
  {
    std::jthread remover([&] {
      while (!stop.load()) {
        for (std::size_t i = 0; i < given_up; ++i) {
          const Address page = page_of(tail, i).begin;
          if (::madvise(page.as(), page_size(), MADV_DONTNEED) != 0) wrong.fetch_add(1);
          if (peek(page + 5) != 0) wrong.fetch_add(1);  // zeros, not the image
          poke(page + 5, 'n');
        }
      }
    });
    std::jthread protector([&] {
      while (!stop.load()) watcher.arm(0, 16);
    });
    for (std::size_t i = 16; i < pages; ++i) {
      const Address page = page_of(range, i).begin;
      if (i % 2 == 0 && !source.matches(page, i)) wrong.fetch_add(1);
      poke(page, 'w');
      if (std::memcmp((page + 1).as(), source.page(i) + 1, page_size() - 1) != 0)
        wrong.fetch_add(1);
      poke(page_of(range, i % 16).begin, 'w');                     // protected again and again
      if (i % 64 == 0 && !server->is_alive()) wrong.fetch_add(1);  // EAGAIN is not the end
    }
    stop = true;
  }
  CHECK(wrong.load() == 0);
  MESSAGE("put off: " << server->counters().deferred);
  REQUIRE(server->release(range));
}

TEST_CASE("a release waits for events without being in their way") {
  FaultServer::Options options;
  options.required = {UffdFeature::event_remove, UffdFeature::event_unmap,
                      UffdFeature::event_remap};
  OracleSource other(1, 2);  // released by events, so it outlives the server
  auto server = start_or_skip("delivery: release and events", Delivery::thread, options);
  if (server == nullptr) return;
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> changers;
    for (int t = 0; t < 2; ++t) {
      changers.emplace_back([&] {
        // Mapped over, never unmapped: else another thread could have the address before the event.
        const auto reserved = *os::Mapping::anonymous(3 * page_size());
        const Range range = page_of(reserved.range(), 0, 2);
        const Address place = page_of(reserved.range(), 2).begin;
        const auto map_over = [](Range what) {
          return ::mmap(what.begin.as(), what.size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
        };
        while (!stop.load()) {  // an event of each kind
          if (!map_over(range) || !server->serve_missing(range, other)) failed.fetch_add(1);
          // The second page moves, and ends there.
          void* moved = ::mremap(page_of(range, 1).begin.as(), page_size(), page_size(),
                                 MREMAP_MAYMOVE | MREMAP_FIXED, place.as());
          if (moved == MAP_FAILED || !other.matches(Address(moved), 1)) failed.fetch_add(1);
          if (!map_over({place, page_size()}) || !map_over(range)) failed.fetch_add(1);
        }
      });
    }
    for (std::size_t i = 0; i < scaled(100); ++i) {
      auto memory = *os::Mapping::anonymous(64 * page_size(), os::HugePages::never);
      OracleSource source(i, 64);
      if (!server->serve_missing(memory.range(), source)) failed.fetch_add(1);
      if (!server->release(memory.range())) failed.fetch_add(1);
      for (std::size_t p = 0; p < 64; ++p)
        if (!source.matches(page_of(memory.range(), p).begin, p)) failed.fetch_add(1);
    }
    stop = true;
  }
  CHECK(failed.load() == 0);
}

TEST_CASE("two release one range: one does, one is told") {
  for (const Delivery delivery : kDeliveries) {
    auto server = start_or_skip("delivery: two release", delivery);
    if (server == nullptr) continue;
    for (std::size_t i = 0; i < scaled(100); ++i) {
      auto memory = *os::Mapping::anonymous(8 * page_size(), os::HugePages::never);
      OracleSource source(i, 8);
      REQUIRE(server->serve_missing(memory.range(), source));
      std::atomic<int> done{0}, told{0};
      const auto let_go = [&] {
        const auto released = server->release(memory.range());
        if (released)
          done.fetch_add(1);
        else if (released.error().code == ErrorCode::not_registered)
          told.fetch_add(1);
      };
      { std::jthread a(let_go), b(let_go); }
      REQUIRE(done.load() == 1);
      REQUIRE(told.load() == 1);
    }
  }
}

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
  print_skip("delivery: allocations", "a sanitizer has malloc to itself");
#else
  FaultServer::Options options;
  options.required = {UffdFeature::pagefault_flag_wp, UffdFeature::wp_unpopulated};
  auto server = start_or_skip("delivery: allocations", Delivery::thread, options);
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
  auto server = start_or_skip("delivery: idle", Delivery::thread);
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
