// Pages that are pushed ahead of demand: each is sent once, whoever asks for it meanwhile, whatever
// becomes of the process.
#include <sys/mman.h>

#include <chrono>
#include <thread>

#include "runtime/faults/postcopy_source.hpp"
#include "tests/faults/remote_client.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using faults::PageState;
using os::page_size;

constexpr std::size_t kSlow = 1;  // bytes a second: after the first run, nothing is pushed

FaultServer::Options pushing(std::size_t bytes_per_second, UffdFeatures required = {}) {
  FaultServer::Options options;
  options.required = required;
  options.push_per_second = bytes_per_second;
  return options;
}

class OracleContents final : public faults::PageContents {
 public:
  explicit OracleContents(const OracleSource& oracle) : oracle_(oracle) {}
  bool read(std::size_t offset, std::span<std::byte> page) noexcept override {
    if (offset / page_size() == damaged) return false;
    std::memcpy(page.data(), oracle_.page(offset / page_size()), page.size());
    return true;
  }
  std::size_t damaged = SIZE_MAX;

 private:
  const OracleSource& oracle_;
};

// Counts what the kernel is given, page by page.
class CountedSource final : public faults::PostcopySource {
 public:
  CountedSource(OracleContents& contents, std::size_t pages)
      : PostcopySource(contents, std::move(*Tables::create(pages))),
        contents_(contents),
        times_sent_(pages) {}
  CountedSource(const CountedSource& parent, OracleContents& contents)
      : PostcopySource(parent, contents, std::move(*Tables::create(parent.pages()))),
        contents_(contents),
        times_sent_(parent.pages()) {}

  PageSource* for_child() noexcept override {
    child = std::make_unique<CountedSource>(*this, contents_);
    return child.get();
  }
  void departed() noexcept override { has_departed.store(true); }
  std::size_t times_sent(std::size_t page) const { return times_sent_[page]; }
  std::size_t count(PageState wanted) const {
    std::size_t count = 0;
    for (std::size_t page = 0; page < pages(); ++page) count += state(page) == wanted ? 1 : 0;
    return count;
  }
  void check_sent_once() const {
    for (std::size_t page = 0; page < pages(); ++page) CHECK(times_sent(page) <= 1);
    const Counters all = counters();
    CHECK(all.repeated == 0);
    std::size_t sum = 0;
    for (const auto& times : times_sent_) sum += times;
    CHECK(all.demanded + all.pushed == sum);
  }

  std::unique_ptr<CountedSource> child;
  std::atomic<bool> has_departed{false};

 private:
  void on_sent(std::size_t first, std::size_t pages) noexcept override {
    for (std::size_t page = first; page < first + pages; ++page) ++times_sent_[page];
  }
  OracleContents& contents_;
  std::vector<std::atomic<std::size_t>> times_sent_;
};

// Memory of this process that is pushed to.
struct Pushed {
  Pushed(std::uint64_t seed, std::size_t pages) : oracle(seed, pages), source(contents, pages) {
    memory = *os::Mapping::anonymous(pages * page_size(), os::HugePages::never);
  }
  Address page(std::size_t index) const { return page_of(memory.range(), index).begin; }
  bool matches(std::size_t index) const { return oracle.matches(page(index), index); }

  OracleSource oracle;
  OracleContents contents{oracle};
  CountedSource source;
  os::Mapping memory;
};

TEST_CASE("each page is sent once while threads touch and the server pushes") {
  const std::uint64_t seed = seed_for("postcopy: once");
  constexpr std::size_t kThreads = 4, kPages = 1024;
  for (std::size_t round = 0; round < scaled(30); ++round) {
    Pushed pushed(seed + round, kPages);
    auto server = start_or_skip("postcopy: once", Delivery::thread);
    if (server == nullptr) return;
    std::atomic<std::size_t> wrong{0};
    REQUIRE(server->serve_missing(pushed.memory.range(), pushed.source));
    {
      std::vector<std::jthread> touchers;
      for (std::size_t t = 0; t < kThreads; ++t)
        touchers.emplace_back([&, t] {
          Random random(seed + round * kThreads + t);
          for (std::size_t i = 0; i < kPages; ++i)
            if (!pushed.matches(random() % kPages)) ++wrong;
        });
      // Released by this thread, which then sends what the other one has not sent yet.
      if (round % 2 == 0) REQUIRE(server->release(pushed.memory.range()));
    }
    while (pushed.source.count(PageState::sent) != kPages) ::sched_yield();
    CHECK(wrong == 0);
    pushed.source.check_sent_once();
  }
}

TEST_CASE("all is pushed that nobody asks for, and then nothing is done") {
  const std::uint64_t seed = seed_for("postcopy: idle");
  Pushed pushed(seed, 300);
  auto server = start_or_skip("postcopy: idle", Delivery::thread);
  if (server == nullptr) return;
  REQUIRE(server->serve_missing(pushed.memory.range(), pushed.source));
  while (pushed.source.count(PageState::sent) != 300) ::sched_yield();
  CHECK(pushed.source.counters().demanded == 0);
  for (std::size_t page = 0; page < 300; ++page) CHECK(pushed.matches(page));
  pushed.source.check_sent_once();
  const faults::ServerCounters before = server->counters();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const faults::ServerCounters after = server->counters();
  CHECK(after.rounds - before.rounds <= 3);  // a heartbeat a second
  CHECK(after.wakeups == before.wakeups);
}

TEST_CASE("a slow push leaves pages to demand") {
  const std::uint64_t seed = seed_for("postcopy: slow");
  Pushed pushed(seed, 256);
  auto server = start_or_skip("postcopy: slow", Delivery::thread, pushing(kSlow));
  if (server == nullptr) return;
  REQUIRE(server->serve_missing(pushed.memory.range(), pushed.source));
  for (std::size_t page = 256; page-- > 0;) CHECK(pushed.matches(page));
  // A page is there before it is counted; this waits for the answer under way.
  REQUIRE(server->release(pushed.memory.range(), FaultServer::Unfilled::abandon));
  CHECK(pushed.source.counters().pushed <= 32);
  CHECK(pushed.source.counters().demanded >= 224);
  pushed.source.check_sent_once();
}

TEST_CASE("what was given back reads as zeros, and is not pushed") {
  const std::uint64_t seed = seed_for("postcopy: given back");
  Pushed pushed(seed, 128);
  auto server = start_or_skip("postcopy: given back", Delivery::thread,
                              pushing(kSlow, UffdFeature::event_remove));
  if (server == nullptr) return;
  REQUIRE(server->serve_missing(pushed.memory.range(), pushed.source));
  CHECK(pushed.matches(100));
  // One that is there, and others that are not.
  REQUIRE(os::give_back(page_of(pushed.memory.range(), 96, 16)));
  server->settle();
  CHECK(pushed.source.count(PageState::given_back) == 16);
  for (std::size_t page = 96; page < 112; ++page) {
    CHECK(is_zero(pushed.page(page)));
    CHECK(pushed.source.times_sent(page) == (page == 100 ? 1 : 0));
  }
  CHECK(pushed.matches(112));
  REQUIRE(server->release(pushed.memory.range(), FaultServer::Unfilled::abandon));
  CHECK(pushed.source.counters().zeros == 16);
  pushed.source.check_sent_once();
}

TEST_CASE("a damaged page is nobody's but who touches it") {
  auto features = Userfaultfd::available_features();
  if (!features || !features->has(UffdFeature::poison))
    return print_skip("postcopy: damaged", "this kernel cannot poison (Linux 6.6)");
  const std::uint64_t seed = seed_for("postcopy: damaged");
  Pushed pushed(seed, 64);
  pushed.contents.damaged = 21;
  auto server = start_or_skip("postcopy: damaged", Delivery::thread);
  if (server == nullptr) return;
  REQUIRE(server->serve_missing(pushed.memory.range(), pushed.source));
  while (pushed.source.count(PageState::sent) != 63) ::sched_yield();
  CHECK(HostSigbus::is_raised_by_reading(pushed.page(21)));
  for (std::size_t page = 0; page < 64; ++page)
    if (page != 21) CHECK(pushed.matches(page));
  pushed.source.check_sent_once();
}

TEST_CASE("a process forks amid the push: its child gets the rest, each page once") {
  if (!can_be_served("postcopy: fork")) return;
  const std::uint64_t seed = seed_for("postcopy: fork");
  for (const std::size_t rate : {kSlow, std::size_t{0}}) {
    Client client(seed, [](Range range, const OracleSource& oracle) {
      if (!all_match(range, oracle, 40, 50)) return 1;
      const pid_t child = ::fork();
      if (child == 0) ::_exit(all_match(range, oracle, 0, kClientPages) ? 0 : 1);
      if (!all_match(range, oracle, 0, kClientPages)) return 2;
      int status = 0;
      ::waitpid(child, &status, 0);
      return status == 0 ? 0 : 3;
    });
    const OracleSource oracle(seed, kClientPages);
    OracleContents contents(oracle);
    CountedSource source(contents, kClientPages);
    auto server = start_or_skip("postcopy: fork", Delivery::thread, pushing(rate));
    REQUIRE(client.hand_to(*server, source));
    CHECK(client.wait() == 0);
    server->drop_departed();
    wait_for_spaces(*server, 0);
    REQUIRE(source.child != nullptr);
    CHECK(source.has_departed);
    CHECK(source.child->has_departed);
    for (const CountedSource* each : {&source, source.child.get()}) {
      CHECK(each->count(PageState::sent) == kClientPages);
      each->check_sent_once();
    }
    // What the parent had before the fork was sent to the parent alone.
    for (std::size_t page = 40; page < 50; ++page) CHECK(source.child->times_sent(page) == 0);
    if (rate == kSlow) CHECK(source.child->counters().demanded >= 22);
  }
}

TEST_CASE("a process unmaps amid the push, and the rest comes") {
  if (!can_be_served("postcopy: unmap")) return;
  const std::uint64_t seed = seed_for("postcopy: unmap");
  for (const std::size_t rate : {kSlow, std::size_t{0}}) {
    Client client(seed, [](Range range, const OracleSource& oracle) {
      if (!all_match(range, oracle, 30, 34)) return 1;
      const Range hole = page_of(range, 32, 8);
      if (::munmap(hole.begin.as(), hole.size) != 0) return 2;
      return all_match(range, oracle, 0, 32) && all_match(range, oracle, 40, kClientPages) ? 0 : 3;
    });
    const OracleSource oracle(seed, kClientPages);
    OracleContents contents(oracle);
    CountedSource source(contents, kClientPages);
    auto server = start_or_skip("postcopy: unmap", Delivery::thread, pushing(rate));
    REQUIRE(client.hand_to(*server, source));
    CHECK(client.wait() == 0);
    server->drop_departed();
    wait_for_spaces(*server, 0);  // a page is there before its state says so
    CHECK(source.count(PageState::unmapped) == 8);
    CHECK(source.count(PageState::sent) == kClientPages - 8);
    source.check_sent_once();
  }
}

TEST_CASE("a process is killed amid the push, and its source is let go") {
  if (!can_be_served("postcopy: killed")) return;
  const std::uint64_t seed = seed_for("postcopy: killed");
  for (std::size_t round = 0; round < scaled(20); ++round) {
    Client client(seed, [](Range range, const OracleSource& oracle) -> int {
      for (;;) (void)all_match(range, oracle, 0, kClientPages);
    });
    const OracleSource oracle(seed, kClientPages);
    OracleContents contents(oracle);
    CountedSource source(contents, kClientPages);
    auto server =
        start_or_skip("postcopy: killed", Delivery::thread, pushing(round % 2 == 0 ? 0 : kSlow));
    REQUIRE(client.hand_to(*server, source));
    while (source.count(PageState::sent) < round % kClientPages) ::sched_yield();
    REQUIRE(::kill(client.pid(), SIGKILL) == 0);
    CHECK(client.wait() == -SIGKILL);
    server->drop_departed();
    wait_for_spaces(*server, 0);
    CHECK(source.has_departed);
    source.check_sent_once();
  }
}

}  // namespace
}  // namespace weir
