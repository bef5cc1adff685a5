// The contract of weir::barrier::Barrier, the same for every back-end. Numbers are the cases of the
// design's list of test cases.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/support/attached.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::test;
using barrier::Barrier;
using barrier::Then;

namespace {

constexpr std::size_t kPages = 64;

}  // namespace

TEST_CASE("6: clean after arming; one write gives exactly that page; reads never mark") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    CHECK(reports(barrier, memory.take(), {}));

    store(barrier, memory.page(17) + 123, 'x');
    CHECK(reports(barrier, memory.take(), {17}));
    CHECK(reports(barrier, memory.take(), {}));

    int sum = 0;
    for (std::size_t i = 0; i < kPages; ++i) sum += *static_cast<volatile char*>(memory.page(i));
    CHECK(sum != 0);
    CHECK(reports(barrier, memory.take(), {}));
  });
}

TEST_CASE("7: alternating pages; first, middle and last; a store over a page's end marks both") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    PageSet even;
    for (std::size_t i = 0; i < kPages; i += 2) {
      store(barrier, memory.page(i) + i, 'a');
      even.insert(i);
    }
    CHECK(reports(barrier, memory.take(), even));

    for (std::size_t i : {std::size_t{0}, kPages / 2, kPages - 1})
      store(barrier, memory.page(i) + os::page_size() - 1, 'b');
    CHECK(reports(barrier, memory.take(), {0, kPages / 2, kPages - 1}));

    char* end_of_5 = memory.page(6) - 4;
    const std::uint64_t value = 0x0102030405060708;
    std::memcpy(end_of_5, &value, sizeof(value));
    barrier.record(Range::of(end_of_5, sizeof(value)));
    CHECK(reports(barrier, memory.take(), {5, 6}));
  });
}

TEST_CASE("arming one part, disarming another, leaving unarmed, arming twice") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    const auto part = [&](std::size_t first, std::size_t count) {
      return Range::of(memory.page(first), count * os::page_size());
    };
    const std::size_t units = os::page_size() / barrier.traits().granularity;  // of a page
    CHECK(barrier.arm(part(8, 8)).has_value());
    CHECK(barrier.armed_units() == 8 * units);
    for (std::size_t i = 4; i < 20; ++i) store(barrier, memory.page(i), 'c');
    PageSet eight_to_fifteen;
    for (std::size_t i = 8; i < 16; ++i) eight_to_fifteen.insert(i);
    CHECK(memory.take() == eight_to_fifteen);  // what is not armed is never reported

    CHECK(barrier.disarm(part(10, 3)).has_value());
    CHECK(barrier.armed_units() == 5 * units);
    for (std::size_t i = 8; i < 16; ++i) store(barrier, memory.page(i), 'd');
    CHECK(memory.take(Then::leave_unarmed) == PageSet{8, 9, 13, 14, 15});
    for (std::size_t i = 8; i < 16; ++i) store(barrier, memory.page(i), 'e');
    CHECK(memory.take() == PageSet{});
    CHECK(barrier.armed_units() + 5 <= 5 * units);  // what was written is not; of a page, or a card

    // Arming what is armed and written already keeps the record.
    CHECK(barrier.arm(part(0, 4)).has_value());
    store(barrier, memory.page(2), 'f');
    CHECK(barrier.arm(part(0, 8)).has_value());
    store(barrier, memory.page(6), 'f');
    CHECK(reports(barrier, memory.take(), {2, 6}));
    CHECK(reports(barrier, memory.take(), {}));
  });
}

TEST_CASE("a take of a part leaves the records of the rest") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    for (std::size_t i : {1, 30, 60}) store(barrier, memory.page(i), 'g');
    const Range middle = Range::of(memory.page(20), 20 * os::page_size());
    CHECK(reports(barrier, take_pages(barrier, middle), {10}));
    CHECK(reports(barrier, memory.take(), {1, 60}));
  });
}

TEST_CASE("armed and hot pages alternating: only the armed ones are reported and armed again") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    PageSet armed;
    for (std::size_t i = 0; i < kPages; i += 2) {
      CHECK(barrier.arm(Range::of(memory.page(i), os::page_size())).has_value());
      armed.insert(i);
    }
    for (int cycle = 0; cycle < 3; ++cycle) {
      for (std::size_t i = 0; i < kPages; ++i) store(barrier, memory.page(i), 'h');
      CHECK(memory.take() == armed);
      CHECK(reports(barrier, memory.take(), {}));
    }
  });
}

TEST_CASE("bad input: each a clear error, and nothing changed") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    const std::size_t page = os::page_size();
    const Range all = memory.range();
    const auto ignore = [](Range) { FAIL("nothing may be reported"); };

    const auto expect = [](const auto& result, ErrorCode code) {
      REQUIRE_FALSE(result.has_value());
      CHECK(result.error().code == code);
      CHECK(result.error().message().size() > 20);
    };
    expect(barrier.attach(Range{all.begin + 1, page}), ErrorCode::misaligned);
    expect(barrier.attach(Range{all.begin, page / 2}), ErrorCode::misaligned);
    expect(barrier.attach(Range{all.begin, 0}), ErrorCode::misaligned);
    expect(barrier.attach(all), ErrorCode::busy);
    expect(barrier.attach(Range{all.begin + page, page}), ErrorCode::busy);
    expect(barrier.arm(Range{all.begin + 1, page}), ErrorCode::misaligned);
    expect(barrier.arm(Range{all.end(), page}), ErrorCode::not_registered);
    expect(barrier.arm(Range{all.end() - page, 2 * page}), ErrorCode::not_registered);
    expect(barrier.disarm(Range{all.end(), page}), ErrorCode::not_registered);
    expect(barrier.take(Range{all.end(), page}, ignore, Then::rearm), ErrorCode::not_registered);
    expect(barrier.take(Range{all.begin + 1, page}, ignore, Then::rearm), ErrorCode::misaligned);
    expect(barrier.detach(Range{all.begin, page}), ErrorCode::not_registered);
    expect(barrier.detach(Range{all.end(), page}), ErrorCode::not_registered);

    store(barrier, memory.page(5), 't');
    CHECK(reports(barrier, memory.take(), {5}));
  });
}

TEST_CASE("two ranges, detached and attached again, keep apart") {
  for_each_backend([](Barrier& barrier) {
    const Attached one(barrier);
    one.populate();
    one.arm();
    for (int round = 0; round < 3; ++round) {
      const Attached two(barrier);
      two.populate();
      two.arm();
      store(barrier, two.page(2), 'u');
      CHECK(reports(barrier, two.take(), {2}));
      store(barrier, one.page(1), 'u');
    }
    CHECK(reports(barrier, one.take(), {1}));
  });
}

TEST_CASE("two barriers of a kind at once: taking or arming one leaves the other's record") {
  for (const Backend& backend : backends()) {
    const auto first = backend.open();
    const auto second = backend.open();
    if (first == nullptr || second == nullptr) continue;
    INFO("back-end ", backend.name());
    const Attached one(*first);
    const Attached two(*second);
    one.populate();
    two.populate();
    one.arm();
    two.arm();
    (void)one.take();
    (void)two.take();
    for (std::size_t round = 0; round < 4; ++round) {
      store(*first, one.page(round), 'v');
      store(*second, two.page(10 + round), 'v');
      CHECK(reports(*first, one.take(), {round}));
      store(*first, one.page(40), 'v');
      {
        const Attached three(*second, 8);  // arming more, and letting go of it
        three.populate();
        three.arm();
      }
      CHECK(reports(*second, two.take(), {10 + round}));
      CHECK(reports(*first, one.take(), {40}));
      CHECK(reports(*second, two.take(), {}));
    }
    CHECK(first->notes().empty());
    CHECK(second->notes().empty());
  }
}

TEST_CASE("a pair of barrier and delivery that cannot exist is refused with a sentence") {
  for (const auto& [kind, delivery] : {std::pair{BarrierKind::uffd_thread, Delivery::sigbus},
                                       std::pair{BarrierKind::uffd_sigbus, Delivery::thread}}) {
    const auto barrier = barrier::open_barrier(kind, delivery);
    REQUIRE_FALSE(barrier.has_value());
    CHECK(barrier.error().code == ErrorCode::invalid_argument);
    CHECK(barrier.error().message().find("cannot go with") != std::string::npos);
  }
}

TEST_CASE("a random run of everything against a shadow, one thread") {
  Random random(seed_for("contract"));
  for_each_backend([&](Barrier& barrier) {
    const Attached memory(barrier, 16);
    memory.populate();
    const std::size_t unit = barrier.traits().granularity;
    const std::size_t units = memory.range().size / unit;
    PageSet armed;  // by unit, as `written`
    PageSet written;
    for (std::size_t step = 0; step < scaled(5000); ++step) {
      const std::size_t first = random() % units;
      const std::size_t past = first + 1 + random() % (units - first);
      const Range part{memory.range().begin + first * unit, (past - first) * unit};
      switch (random() % 8) {
        case 0:
          CHECK(barrier.arm(part).has_value());
          for (std::size_t i = first; i < past; ++i) armed.insert(i);
          break;
        case 1:
          CHECK(barrier.disarm(part).has_value());
          armed.erase(armed.lower_bound(first), armed.lower_bound(past));
          written.erase(written.lower_bound(first), written.lower_bound(past));
          break;
        case 2: {
          const Then then = random() % 2 == 0 ? Then::rearm : Then::leave_unarmed;
          const PageSet expected(written.lower_bound(first), written.lower_bound(past));
          written.erase(written.lower_bound(first), written.lower_bound(past));
          PageSet reported;
          for (std::size_t i : take_pages(barrier, part, then, unit)) reported.insert(first + i);
          REQUIRE(reports(barrier, reported, expected));
          REQUIRE(std::includes(armed.begin(), armed.end(), reported.begin(), reported.end()));
          if (then == Then::leave_unarmed)
            for (std::size_t i : reported) armed.erase(i);
          break;
        }
        default: {
          const std::size_t at = random() % memory.range().size;
          store(barrier, memory.page(0) + at, static_cast<char>(step));
          if (armed.count(at / unit) != 0) written.insert(at / unit);
          break;
        }
      }
    }
    CHECK(barrier.notes().empty());
  });
}
