#include "runtime/os/off_heap.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/random.hpp"

using namespace weir;
using weir::os::OffHeapArray;
using weir::os::OffHeapBackend;

namespace {

std::vector<const OffHeapBackend*> backends() {
  std::vector<const OffHeapBackend*> all = {&os::off_heap_system()};
  if (os::off_heap_linked() != nullptr) all.push_back(os::off_heap_linked());
  return all;
}

// A piece of memory filled with a byte of its own: whoever overlaps it is found out.
struct Piece {
  unsigned char* memory;
  std::size_t bytes;
  std::size_t alignment;
  unsigned char pattern;

  bool is_whole() const {
    return std::all_of(memory, memory + bytes, [this](auto byte) { return byte == pattern; });
  }
};

std::size_t random_size(test::Random& random) {
  switch (random() % 8) {
    case 0:
      return random() % 200'000 + 1;
    case 1:
      return (std::size_t{1} << (random() % 17)) + random() % 3;
    default:
      return random() % 600 + 1;
  }
}

Piece allocate(const OffHeapBackend& backend, test::Random& random) {
  Piece piece = {nullptr, random_size(random), random() % 4 ? 16 : std::size_t{1} << random() % 18,
                 static_cast<unsigned char>(random() | 1)};
  piece.memory = static_cast<unsigned char*>(backend.allocate(piece.bytes, piece.alignment));
  REQUIRE(piece.memory != nullptr);
  REQUIRE(Address(piece.memory).is_aligned(piece.alignment));
  const bool zeroed =
      std::all_of(piece.memory, piece.memory + piece.bytes, [](auto byte) { return byte == 0; });
  REQUIRE(zeroed);
  std::memset(piece.memory, piece.pattern, piece.bytes);
  return piece;
}

void free_piece(const OffHeapBackend& backend, const Piece& piece) {
  REQUIRE(piece.is_whole());
  backend.free(piece.memory, piece.bytes, piece.alignment);
}

void churn(const OffHeapBackend& backend, std::uint64_t seed, std::size_t steps) {
  test::Random random(seed);
  std::vector<Piece> pieces;
  for (std::size_t step = 0; step < steps; ++step) {
    if (pieces.size() < 300 && random() % 2 == 0) {
      pieces.push_back(allocate(backend, random));
    } else if (!pieces.empty()) {
      std::swap(pieces[random() % pieces.size()], pieces.back());
      free_piece(backend, pieces.back());
      pieces.pop_back();
    }
  }
  for (const Piece& piece : pieces) free_piece(backend, piece);
}

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  FILE* statm = std::fopen("/proc/self/statm", "r");
  REQUIRE(statm != nullptr);
  REQUIRE(std::fscanf(statm, "%zu %zu", &total, &resident) == 2);
  std::fclose(statm);
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// A child that hangs may have blocked every signal but SIGKILL.
bool exits_well(pid_t child) {
  int status = 0;
  for (int tries = 0; tries < 50'000; ++tries) {
    if (::waitpid(child, &status, WNOHANG) == child) return status == 0;
    ::usleep(50);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return false;
}

}  // namespace

TEST_CASE("memory is zeroed, aligned, and nobody else's") {
  const std::uint64_t seed = test::seed_for("off_heap pieces");
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    churn(*backend, seed, test::scaled(100'000));
  }
}

TEST_CASE("threads allocate and free each other's memory") {
  const std::uint64_t seed = test::seed_for("off_heap threads");
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    constexpr int kThreads = 8;
    std::atomic<Piece*> shelf[64] = {};
    std::atomic<int> damaged = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        test::Random random(seed + static_cast<std::uint64_t>(t));
        for (std::size_t step = 0; step < test::scaled(20'000); ++step) {
          const std::size_t bytes = random_size(random);
          auto* piece = static_cast<Piece*>(backend->allocate(sizeof(Piece), 16));
          auto* memory = static_cast<unsigned char*>(backend->allocate(bytes, 16));
          *piece = {memory, bytes, 16, static_cast<unsigned char>(random())};
          std::memset(memory, piece->pattern, bytes);
          Piece* other = shelf[random() % std::size(shelf)].exchange(piece);
          if (other == nullptr) continue;
          if (!other->is_whole()) ++damaged;
          backend->free(other->memory, other->bytes, other->alignment);
          backend->free(other, sizeof(Piece), 16);
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (auto& slot : shelf)
      if (Piece* piece = slot.load()) {
        backend->free(piece->memory, piece->bytes, piece->alignment);
        backend->free(piece, sizeof(Piece), 16);
      }
    CHECK(damaged == 0);
  }
}

TEST_CASE("what is freed is used again") {
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    churn(*backend, 1, test::scaled(20'000));
    const std::size_t before = resident_bytes();
    for (int round = 0; round < 20; ++round) churn(*backend, 1, test::scaled(20'000));
    CHECK(resident_bytes() < before + (16 << 20));
  }
}

TEST_CASE("a large table costs nothing until it is touched") {
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    constexpr std::size_t kBytes = std::size_t{1} << 30;
    const std::size_t before = resident_bytes();
    auto* memory = static_cast<unsigned char*>(backend->allocate(kBytes, 64));
    REQUIRE(memory != nullptr);
    memory[kBytes - 1] = 1;
    CHECK(memory[kBytes / 2] == 0);
    CHECK(resident_bytes() < before + (32 << 20));
    backend->free(memory, kBytes, 64);
  }
}

// A heap that may have 64 GiB begins with fifteen bitmaps of this size.
TEST_CASE("neither do bitmaps over many blocks") {
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    constexpr std::size_t kBytes = 192 << 10;
    constexpr std::size_t kCount = 256;
    std::vector<void*> tables;
    const std::size_t before = resident_bytes();
    for (std::size_t i = 0; i < kCount; ++i) {
      tables.push_back(backend->allocate(kBytes, 16));
      REQUIRE(tables.back() != nullptr);
      static_cast<unsigned char*>(tables.back())[kBytes / 2] = 1;
    }
    CHECK(resident_bytes() < before + kCount * kBytes / 4);
    for (void* table : tables) backend->free(table, kBytes, 16);
  }
}

TEST_CASE("an absurd size is refused, and nothing breaks") {
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    CHECK(backend->allocate(static_cast<std::size_t>(1) << 62, 16) == nullptr);
    CHECK(backend->allocate(static_cast<std::size_t>(-1) - 100, 16) == nullptr);
  }
  CHECK(OffHeapArray<std::uint64_t>::create(static_cast<std::size_t>(-1) / 4).error().code ==
        ErrorCode::out_of_memory);
}

TEST_CASE("threads stopped by signals wherever they stand do not hold the allocator up") {
  const std::uint64_t seed = test::seed_for("off_heap stopped threads");
  static std::atomic<int> asked, stopped, resumed;  // numbers of stops; threads in this stop
  static const int kStop = SIGRTMIN + 3;
  struct sigaction action = {};
  action.sa_handler = [](int) {
    const int saved = errno;
    const int stop = asked;
    ++stopped;
    while (resumed < stop) ::sched_yield();
    errno = saved;
  };
  action.sa_flags = SA_RESTART;
  REQUIRE(::sigaction(kStop, &action, nullptr) == 0);

  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    std::atomic<bool> enough = false;
    std::atomic<int> running = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, t] {
        test::Random random(seed + static_cast<std::uint64_t>(t));
        ++running;
        while (!enough) {
          const std::size_t bytes = random() % 2000 + 1;
          backend->free(backend->allocate(bytes, 16), bytes, 16);
        }
      });
    while (running < 3) std::this_thread::yield();
    for (std::size_t stop = 0; stop < test::scaled(2'000); ++stop) {
      stopped = 0;
      ++asked;
      for (std::thread& thread : threads) ::pthread_kill(thread.native_handle(), kStop);
      while (stopped < static_cast<int>(threads.size())) ::sched_yield();
      for (std::size_t bytes = 16; bytes < 2000; bytes += 300)
        backend->free(backend->allocate(bytes, 16), bytes, 16);
      resumed = asked.load();
    }
    enough = true;
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_CASE("a forked child allocates while the parent's threads do") {
  for (const OffHeapBackend* backend : backends()) {
    CAPTURE(backend->name);
    std::atomic<bool> enough = false;
    int hung = 0;
    std::vector<std::thread> busy;
    for (int t = 0; t < 4; ++t)
      busy.emplace_back([&] {
        while (!enough) backend->free(backend->allocate(48, 16), 48, 16);
      });
    for (std::size_t i = 0; i < test::scaled(1'000); ++i) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        void* memory = backend->allocate(48, 16);
        backend->free(memory, 48, 16);
        ::_exit(memory != nullptr ? 0 : 1);
      }
      if (!exits_well(child)) ++hung;
      if (hung > 0) break;
    }
    enough = true;
    for (std::thread& thread : busy) thread.join();
    CHECK(hung == 0);
  }
}

TEST_CASE("an array starts as zeros, moves, and gives its memory back") {
  struct Entry {
    std::atomic<std::uint32_t> count;
    std::uint32_t kind;
  };
  auto made = OffHeapArray<Entry>::create(1000);
  REQUIRE(made.has_value());
  OffHeapArray<Entry> array = std::move(*made);
  CHECK(array.size() == 1000);
  CHECK(std::ranges::all_of(array, [](const Entry& e) { return e.count == 0 && e.kind == 0; }));
  array[999].kind = 7;
  OffHeapArray<Entry> other;
  CHECK(other.empty());
  other = std::move(array);
  CHECK(other.span().back().kind == 7);

  struct alignas(64) Line {
    char bytes[64];
  };
  auto lines = OffHeapArray<Line>::create(3);
  REQUIRE(lines.has_value());
  CHECK(Address(lines->data()).is_aligned(64));
  CHECK(OffHeapArray<int>::create(0)->empty());
}

TEST_CASE("WEIR_OFFHEAP chooses among what is linked") {
  const char* given = std::getenv("WEIR_OFFHEAP");
  const std::string before = given != nullptr ? given : "";
  const bool linked = os::off_heap_linked() != nullptr;

  ::setenv("WEIR_OFFHEAP", "system", 1);
  CHECK(std::string((*os::off_heap_choice())->name) == "system");

  ::setenv("WEIR_OFFHEAP", "", 1);
  CHECK(std::string((*os::off_heap_choice())->name) == (linked ? "mimalloc" : "system"));

  ::setenv("WEIR_OFFHEAP", "mimalloc", 1);
  const auto mimalloc = os::off_heap_choice();
  if (linked)
    CHECK(std::string((*mimalloc)->name) == "mimalloc");
  else
    CHECK(mimalloc.error().message().find("weir::mimalloc") != std::string::npos);

  ::setenv("WEIR_OFFHEAP", "jemalloc", 1);
  const auto unknown = os::off_heap_choice();
  REQUIRE(!unknown);
  CHECK(unknown.error().code == ErrorCode::invalid_argument);
  CHECK(unknown.error().message().find("mimalloc or system") != std::string::npos);

  ::setenv("WEIR_OFFHEAP", before.c_str(), 1);
}
