// What others do to a barrier behind its back: it degrades, says why, and loses nothing.
#include <dirent.h>
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "runtime/faults/fault_server.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::test;
using barrier::Barrier;

namespace {

os::Mapping populated(std::size_t pages) {
  os::Mapping memory =
      os::Mapping::anonymous(pages * os::page_size(), os::HugePages::never).value();
  std::memset(memory.as<char>(), 1, memory.size());
  return memory;
}

char* page_of(const os::Mapping& memory, std::size_t page) {
  return memory.as<char>() + page * os::page_size();
}

// The descriptors of this process whose link target contains `name`.
std::vector<int> descriptors(const std::string& name) {
  std::vector<int> found;
  DIR* directory = ::opendir("/proc/self/fd");
  REQUIRE(directory != nullptr);
  while (const dirent* entry = ::readdir(directory)) {
    char target[256] = {};
    const std::string path = std::string("/proc/self/fd/") + entry->d_name;
    if (::readlink(path.c_str(), target, sizeof(target) - 1) > 0 &&
        std::string(target).find(name) != std::string::npos)
      found.push_back(std::stoi(entry->d_name));
  }
  ::closedir(directory);
  return found;
}

// By the bare system call: that nobody knows of it is the point, and TSan would take it for a race.
void close_behind_its_back(int fd) {
  ::syscall(SYS_close, fd);
}

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return lines;
}

// Cycles of one write and one take, on every page in turn: each must be seen.
void check_no_write_lost(Barrier& barrier, const os::Mapping& memory, std::size_t cycles) {
  const std::size_t pages = memory.size() / os::page_size();
  for (std::size_t i = 0; i < cycles; ++i) {
    const std::size_t page = i % pages;
    store(barrier, page_of(memory, page) + i % os::page_size(), static_cast<char>(i));
    REQUIRE(take_pages(barrier, memory.range()).count(page) == 1);
  }
}

}  // namespace

TEST_CASE("a descriptor closed behind our back: all dirty, set up anew, and the reason kept") {
  for (const char* what : {"userfaultfd", "pagemap", "clear_refs"}) {
    for_each_backend([&](Barrier& barrier) {
      const std::vector<int> fds = descriptors(what);
      if (fds.empty()) return;
      const os::Mapping memory = populated(64);
      REQUIRE(barrier.attach(memory.range()).has_value());
      REQUIRE(barrier.arm(memory.range()).has_value());
      store(barrier, page_of(memory, 5), 'a');
      for (int fd : fds) close_behind_its_back(fd);
      store(barrier, page_of(memory, 9), 'b');
      const PageSet reported = take_pages(barrier, memory.range());
      CHECK(reported.count(5) == 1);
      CHECK(reported.count(9) == 1);
      CHECK_FALSE(barrier.notes().empty());
      CHECK(barrier.counters().recoveries > 0);
      // And it works again, exactly as before.
      CHECK(reports(barrier, take_pages(barrier, memory.range()), {}));
      store(barrier, page_of(memory, 33), 'c');
      CHECK(reports(barrier, take_pages(barrier, memory.range()), {33}));
      CHECK(barrier.detach(memory.range()).has_value());
    });
  }
}

TEST_CASE("a descriptor number that is somebody else's by now is left alone") {
  for_each_backend([&](Barrier& barrier) {
    const std::vector<int> fds = descriptors("userfaultfd");
    if (fds.empty()) return;
    const os::Mapping memory = populated(16);
    REQUIRE(barrier.attach(memory.range()).has_value());
    REQUIRE(barrier.arm(memory.range()).has_value());
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    for (int fd : fds) REQUIRE(::syscall(SYS_dup3, pipe[1], fd, 0) == fd);
    store(barrier, page_of(memory, 3), 'a');
    CHECK(take_pages(barrier, memory.range()).count(3) == 1);
    for (int fd : fds) CHECK(::write(fd, "x", 1) == 1);  // still the pipe's
    for (int fd : fds) close_behind_its_back(fd);
    check_no_write_lost(barrier, memory, 16);
    CHECK(barrier.detach(memory.range()).has_value());
    ::close(pipe[0]);
    ::close(pipe[1]);
  });
}

TEST_CASE("18: every other page of 512 MiB written adds no mapping with a userfaultfd") {
  for_each_backend([](Barrier& barrier) {
    if (barrier.traits().adds_mappings) return;
    const std::size_t pages = (std::size_t{512} << 20) / os::page_size();
    os::Mapping memory =
        os::Mapping::anonymous(pages * os::page_size(), os::HugePages::never).value();
    REQUIRE(barrier.attach(memory.range()).has_value());
    REQUIRE(barrier.arm(memory.range()).has_value());
    const std::size_t written = std::min(pages, scaled(pages));
    const std::size_t before = mappings();
    for (std::size_t page = 0; page < written; page += 2)
      store(barrier, page_of(memory, page), 'a');
    CHECK(mappings() <= before + 2);  // the C library may have mapped something of its own
    PageSet expected;
    for (std::size_t page = 0; page < written; page += 2) expected.insert(page);
    const PageSet reported = take_pages(barrier, memory.range());
    CHECK(std::includes(reported.begin(), reported.end(), expected.begin(), expected.end()));
    CHECK(barrier.detach(memory.range()).has_value());
  });
}

TEST_CASE("18: mprotect lives on when vm.max_map_count is exhausted, by unprotecting more") {
  const std::size_t limit = os::max_map_count();
  if (limit > 200'000) {
    std::printf("skipped: vm.max_map_count is %zu; exhausting it takes too long\n", limit);
    return;
  }
  for (const bool others_use_them_up : {false, true}) {
    CAPTURE(others_use_them_up);
#if defined(__SANITIZE_ADDRESS__)
    if (others_use_them_up) {
      std::printf(
          "skipped, others use the mappings up: ASan maps memory for each few allocations,"
          " and ends the process when it cannot\n");
      continue;
    }
#endif
    auto barrier = barrier::open_barrier(BarrierKind::mprotect).value();
    const std::size_t pages = 3 * limit;
    os::Mapping memory =
        os::Mapping::anonymous(pages * os::page_size(), os::HugePages::never).value();
    REQUIRE(barrier->attach(memory.range()).has_value());
    REQUIRE(barrier->arm(memory.range()).has_value());
    const std::size_t by_others = others_use_them_up ? limit / 2 : 0;
    const os::Mapping others =
        os::Mapping::anonymous((2 * by_others + 1) * os::page_size(), os::HugePages::never).value();
    for (std::size_t i = 0; i < by_others; i += 2)
      (void)::mprotect(page_of(others, i), os::page_size(), PROT_READ);

    for (std::size_t page = 0; page < pages; page += 2) store(*barrier, page_of(memory, page), 'a');
    CHECK(barrier->counters().widened > 0);
    // With others, the kernel refuses; without, the barrier keeps to its share. It says which.
    REQUIRE_FALSE(barrier->notes().empty());
    const std::string why = barrier->notes().front().why.message();
    CHECK_MESSAGE(why.find("vm.max_map_count") != std::string::npos, why);
    CHECK_MESSAGE((why.find("may have half of") != std::string::npos) != others_use_them_up, why);
    std::size_t missing = 0;
    const PageSet reported = take_pages(*barrier, memory.range());
    for (std::size_t page = 0; page < pages; page += 2) missing += 1 - reported.count(page);
    CHECK(missing == 0);
    check_no_write_lost(*barrier, memory, 16);
    CHECK(barrier->detach(memory.range()).has_value());
  }
}

TEST_CASE("an EAGAIN storm: the address space changes all the time, and no write is lost") {
  // Only a descriptor with events makes the kernel say EAGAIN.
  for_each_backend([](Barrier& barrier) {
    faults::FaultServer* server = barrier.server();
    if (server == nullptr || !server->features().has(UffdFeature::event_remove)) return;
    const os::Mapping memory = populated(256);
    REQUIRE(barrier.attach(memory.range()).has_value());
    REQUIRE(barrier.arm(memory.range()).has_value());
    const Range ours{memory.range().begin, 128 * os::page_size()};
    std::atomic<bool> stop{false};
    std::thread changer([&] {
      Random random(seed_for("EAGAIN storm"));
      while (!stop.load()) {
        const std::size_t page = 128 + random() % 128;
        (void)::madvise(page_of(memory, page), os::page_size(), MADV_DONTNEED);
      }
    });
    Random random(1);
    for (std::size_t i = 0; i < scaled(1000); ++i) {
      const std::size_t page = random() % 128;
      store(barrier, page_of(memory, page), static_cast<char>(i));
      REQUIRE(take_pages(barrier, ours).count(page) == 1);
      (void)take_pages(barrier, memory.range());
    }
    stop = true;
    changer.join();
    CHECK(barrier.notes().empty());
    CHECK(barrier.detach(memory.range()).has_value());
  });
}

TEST_CASE("a signal storm whose handler writes to armed memory itself") {
  static std::atomic<char*> target{nullptr};
  static std::atomic<std::size_t> signals{0};

  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) {
    *const_cast<volatile char*>(target.load()) = 's';
    signals.fetch_add(1);
  };
  action.sa_flags = SA_RESTART;
  for_each_backend([&](Barrier& barrier) {
    if (barrier.traits().needs_calls || barrier.traits().needs_stopped_world) return;
#if defined(__SANITIZE_THREAD__)
    if (barrier.traits().needs_signal) {
      std::printf("skipped %s: TSan runs handlers late, with SIGBUS and SIGSEGV blocked\n",
                  name_of(barrier.kind()));
      return;
    }
#endif
    const os::Mapping memory = populated(64);
    target = page_of(memory, 63);
    REQUIRE(barrier.attach(memory.range()).has_value());
    REQUIRE(barrier.arm(memory.range()).has_value());
    REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
    const itimerval fast{{0, 100}, {0, 100}};
    const itimerval off{};
    const std::size_t signals_before = signals.load();
    REQUIRE(::setitimer(ITIMER_REAL, &fast, nullptr) == 0);
    for (std::size_t i = 0; i < scaled(5000) || signals.load() == signals_before; ++i) {
      const std::size_t page = i % 63;
      store(barrier, page_of(memory, page), static_cast<char>(i));
      REQUIRE(take_pages(barrier, memory.range()).count(page) == 1);
    }
    REQUIRE(::setitimer(ITIMER_REAL, &off, nullptr) == 0);
    CHECK(barrier.detach(memory.range()).has_value());
    REQUIRE(::sigaction(SIGALRM, &before, nullptr) == 0);
    CHECK(signals.load() > signals_before);
  });
}

TEST_CASE("20: a writer that waits when its range is disarmed or detached goes on") {
  for_each_backend([](Barrier& barrier) {
    if (barrier.traits().needs_stopped_world) return;
    for (std::size_t round = 0; round < scaled(200); ++round) {
      const os::Mapping memory = populated(8);
      REQUIRE(barrier.attach(memory.range()).has_value());
      REQUIRE(barrier.arm(memory.range()).has_value());
      std::atomic<bool> started{false};
      std::thread writer([&] {
        started = true;
        for (std::size_t page = 0; page < 8; ++page)
          *static_cast<volatile char*>(page_of(memory, page)) = 'w';
      });
      while (!started.load()) std::this_thread::yield();
      if (round % 2 == 0) {  // disarming alone lets it go on
        CHECK(barrier.disarm(memory.range()).has_value());
        writer.join();
      }
      CHECK(barrier.detach(memory.range()).has_value());
      if (writer.joinable()) writer.join();
      CHECK(*page_of(memory, 7) == 'w');
    }
  });
}
