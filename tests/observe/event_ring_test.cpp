#include "runtime/observe/event_ring.hpp"

#include <doctest/doctest.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/support/random.hpp"

using namespace weir::observe;

namespace {

// All its fields follow from one number.
Event numbered(std::uint64_t n) {
  return Event::of(Activity::idle, n * 3, n * 5, n * 7);
}
bool is_whole(const Event& event) {
  const std::uint64_t n = event.value / 7;
  return event.value == n * 7 && event.begin_ns == n * 3 && event.duration_ns == n * 2 &&
         event.name() == "idle";
}

EventRing ring_of(std::size_t capacity) {
  return EventRing::create(capacity).value();
}

}  // namespace

TEST_CASE("events come out in order, as often as the ring goes round") {
  EventRing ring = ring_of(8);
  std::array<Event, 3> some;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 5; ++i) ring.push(numbered(in++));
    std::size_t taken = 0;
    while ((taken = ring.drain(some)) > 0)
      for (std::size_t i = 0; i < taken; ++i) CHECK(some[i].value == 7 * out++);
    CHECK(out == in);
  }
  CHECK(ring.lost() == 0);
}

TEST_CASE("what does not fit is lost and counted; the oldest stay") {
  EventRing ring = ring_of(8);
  for (std::uint64_t i = 0; i < 20; ++i) ring.push(numbered(i));
  CHECK(ring.lost() == 12);
  std::array<Event, 16> all;
  REQUIRE(ring.drain(all) == 8);
  for (std::uint64_t i = 0; i < 8; ++i) CHECK(all[i].value == 7 * i);
  ring.push(numbered(20));
  CHECK(ring.drain(all) == 1);
  CHECK(all[0].value == 7 * 20);
  CHECK(ring.lost() == 12);
}

TEST_CASE("a ring without room loses everything") {
  EventRing ring;
  ring.push(numbered(1));
  CHECK(ring.lost() == 1);
  std::array<Event, 1> one;
  CHECK(ring.drain(one) == 0);
}

TEST_CASE("writers and a drainer at once: each event arrives once and whole, or is counted") {
  weir::test::Random random(weir::test::seed_for("event_ring"));
  constexpr std::size_t kWriters = 3;
  const std::uint64_t events = weir::test::scaled(300'000);
  for (std::size_t capacity : {2, 64, 1024}) {
    std::vector<EventRing> rings;
    rings.reserve(kWriters);
    for (std::size_t i = 0; i < kWriters; ++i) rings.push_back(ring_of(capacity));
    std::atomic<std::size_t> writing{kWriters};
    std::vector<std::thread> writers;
    for (EventRing& ring : rings)
      writers.emplace_back([&ring, &writing, events, seed = random()] {
        weir::test::Random pauses(seed);
        for (std::uint64_t i = 1; i <= events; ++i) {
          ring.push(numbered(i));
          if (pauses() % 1024 == 0) std::this_thread::yield();
        }
        --writing;
      });
    std::array<std::uint64_t, kWriters> arrived{};
    std::array<std::uint64_t, kWriters> last{};
    std::uint64_t wrong = 0;
    std::array<Event, 100> drained;
    for (bool more = true; more;) {
      more = writing > 0;  // looked at before the last round
      for (std::size_t i = 0; i < kWriters; ++i)
        for (std::size_t n; (n = rings[i].drain(drained)) > 0;) {
          arrived[i] += n;
          for (std::size_t k = 0; k < n; ++k) {
            wrong += !is_whole(drained[k]) || drained[k].value <= last[i];
            last[i] = drained[k].value;
          }
        }
    }
    for (std::thread& writer : writers) writer.join();
    CHECK(wrong == 0);
    for (std::size_t i = 0; i < kWriters; ++i) CHECK(arrived[i] + rings[i].lost() == events);
  }
}

namespace {
EventRing* interrupted = nullptr;
std::atomic<std::uint64_t> from_handler{0};
void on_alarm(int /*signal*/) {
  interrupted->push(numbered(++from_handler + 1'000'000'000));
}
}  // namespace

TEST_CASE("a signal handler writes to the ring of the thread that it interrupts") {
  EventRing ring = ring_of(1 << 16);
  interrupted = &ring;
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = on_alarm;
  REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
  const itimerval often{{0, 50}, {0, 50}};
  REQUIRE(::setitimer(ITIMER_REAL, &often, nullptr) == 0);
  std::uint64_t written = 0;
  std::uint64_t arrived = 0;
  std::uint64_t wrong = 0;
  std::vector<Event> drained(1 << 16);
  const std::uint64_t signals = weir::test::scaled(5'000);
  while (from_handler < signals) {
    for (int i = 0; i < 10'000; ++i) ring.push(numbered(++written));
    const std::size_t n = ring.drain(drained);
    arrived += n;
    for (std::size_t i = 0; i < n; ++i) wrong += !is_whole(drained[i]);
  }
  const itimerval never{};
  REQUIRE(::setitimer(ITIMER_REAL, &never, nullptr) == 0);
  REQUIRE(::sigaction(SIGALRM, &before, nullptr) == 0);
  arrived += ring.drain(drained);
  CHECK(wrong == 0);
  CHECK(arrived + ring.lost() == written + from_handler);
}
