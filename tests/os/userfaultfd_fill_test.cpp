// What fills a page, on what: COPY, ZEROPAGE, MOVE, POISON onto holes, armed holes and populated
// pages; and how failures are told. CONTINUE is in userfaultfd_memory_kinds_test.cpp.
#include <sys/mman.h>

#include <cerrno>
#include <csetjmp>
#include <string>

#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

constexpr RegisterModes kBothModes = {RegisterMode::missing, RegisterMode::write_protect};

enum class Operation { copy, copy_armed, zeropage, move, poison };
enum class Onto { hole, armed_hole, page };

struct FillCase {
  Operation operation;
  Onto onto;
  UffdOutcome expected;
  bool armed_after;
};

// The table that the pager and the barrier rely on.
constexpr FillCase kFillTable[] = {
    {Operation::copy, Onto::hole, UffdOutcome::done, false},
    {Operation::copy, Onto::armed_hole, UffdOutcome::done, false},  // drops the arming
    {Operation::copy, Onto::page, UffdOutcome::exists, false},
    {Operation::copy_armed, Onto::hole, UffdOutcome::done, true},
    {Operation::copy_armed, Onto::armed_hole, UffdOutcome::done, true},
    {Operation::copy_armed, Onto::page, UffdOutcome::exists, false},
    {Operation::zeropage, Onto::hole, UffdOutcome::done, false},
    {Operation::zeropage, Onto::armed_hole, UffdOutcome::exists, true},
    {Operation::zeropage, Onto::page, UffdOutcome::exists, false},
    {Operation::move, Onto::hole, UffdOutcome::done, false},
    {Operation::move, Onto::armed_hole, UffdOutcome::exists, true},
    {Operation::move, Onto::page, UffdOutcome::exists, false},
    {Operation::poison, Onto::hole, UffdOutcome::done, false},
    {Operation::poison, Onto::armed_hole, UffdOutcome::exists, true},
    {Operation::poison, Onto::page, UffdOutcome::exists, false},
};

TEST_CASE("the fill table: every operation onto a hole, an armed hole, a populated page") {
  auto uffd =
      open_or_skip("fill table", Userfaultfd::Builder()
                                     .require_features(UffdFeature::wp_unpopulated)
                                     .want_features({UffdFeature::move, UffdFeature::poison}));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const std::size_t cases = std::size(kFillTable);
  const Range target = rig.map(cases);
  const Range source = rig.map(cases);
  REQUIRE(rig.uffd.register_with_mode(target, kBothModes));
  const auto content = page_filled_with('c');
  std::memset(source.begin.as(), 's', source.size);
  std::size_t skipped = 0;

  for (std::size_t i = 0; i < cases; ++i) {
    const FillCase& row = kFillTable[i];
    CAPTURE(i);
    const Range page = page_of(target, i);
    if (row.onto == Onto::armed_hole) {
      REQUIRE(rig.uffd.write_protect(page).ok());
      REQUIRE(is_armed(page.begin));
    }
    if (row.onto == Onto::page)
      REQUIRE(rig.uffd.copy(page.begin, page_filled_with('p').data(), page_size()).ok());

    UffdResult result;
    char after = 0;
    switch (row.operation) {
      case Operation::copy:
        result = rig.uffd.copy(page.begin, content.data(), page_size());
        after = 'c';
        break;
      case Operation::copy_armed:
        result = rig.uffd.copy(page.begin, content.data(), page_size(), CopyMode::write_protected);
        after = 'c';
        break;
      case Operation::zeropage:
        result = rig.uffd.zeropage(page);
        break;
      case Operation::move:
        if (!rig.uffd.features().has(UffdFeature::move)) {
          ++skipped;
          continue;
        }
        result = rig.uffd.move(page.begin, page_of(source, i).begin, page_size());
        after = 's';
        CHECK(is_present(page_of(source, i).begin) != result.ok());
        break;
      case Operation::poison:
        if (!rig.uffd.features().has(UffdFeature::poison)) {
          ++skipped;
          continue;
        }
        result = rig.uffd.poison(page);
        break;
    }
    CHECK(std::string(name_of(result.outcome)) == name_of(row.expected));
    CHECK(result.bytes == (row.expected == UffdOutcome::done ? page_size() : 0));
    CHECK(result.sys_errno == (row.expected == UffdOutcome::done ? 0 : EEXIST));
    CHECK(is_armed(page.begin) == row.armed_after);
    if (row.onto == Onto::page) CHECK(peek(page.begin) == 'p');
    if (row.expected == UffdOutcome::done && row.operation != Operation::poison)
      CHECK(peek(page.begin + page_size() - 1) == after);
  }
  if (skipped != 0) print_skip("fill table", "MOVE or POISON rows: this kernel lacks it");
}

TEST_CASE("a fill that stops half-way tells how far it came") {
  auto uffd = open_or_skip("partial fills", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const auto content = page_filled_with('c', 3);

  for (const bool zero : {false, true}) {
    const Range range = rig.map(3);
    REQUIRE(rig.uffd.register_range(range));
    REQUIRE(rig.uffd.copy(page_of(range, 1).begin, page_filled_with('p').data(), page_size()).ok());
    const auto fill = [&](Range part) {
      return zero ? rig.uffd.zeropage(part) : rig.uffd.copy(part.begin, content.data(), part.size);
    };
    const UffdResult partial = fill(range);
    CHECK(partial.outcome == UffdOutcome::partial);
    CHECK(partial.bytes == page_size());
    CHECK_FALSE(partial.ok());
    const Error error = error_of(partial, "filling", range);
    CHECK(error.message().find("stopped after " + std::to_string(page_size()) + " bytes") !=
          std::string::npos);

    // As documented: the next call tells why, and one goes on behind the page that was there.
    const UffdResult exists = fill(page_of(range, 1, 2));
    CHECK(exists.outcome == UffdOutcome::exists);
    CHECK(exists.bytes == 0);
    CHECK(error_of(exists, "filling", range).code == ErrorCode::exists);
    CHECK(fill(page_of(range, 2)).ok());
    CHECK(peek(page_of(range, 1).begin) == 'p');
    CHECK(peek(page_of(range, 2).begin) == (zero ? 0 : 'c'));
  }
}

TEST_CASE("while the address space changes a fill says again, never a count") {
  auto uffd = open_or_skip("again", Userfaultfd::Builder()
                                        .require_features(UffdFeature::event_remove)
                                        .want_features({UffdFeature::move, UffdFeature::poison}));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(6);
  const Range source = rig.map(1);
  poke(source.begin, 's');
  REQUIRE(rig.uffd.register_with_mode(range, kBothModes));
  rig.start([&] { ::madvise(range.begin.as(), page_size(), MADV_DONTNEED); });
  // The thread waits, and the context is changing, from the event on until it is read.
  pollfd wait{rig.uffd.fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 30'000) == 1);

  const auto content = page_filled_with('c', 2);
  const auto check_again = [](const UffdResult& result) {
    CHECK(std::string(name_of(result.outcome)) == "again");
    CHECK(result.bytes == 0);
    CHECK(result.sys_errno == EAGAIN);
    CHECK(error_of(result, "filling", {}).code == ErrorCode::again);
  };
  check_again(rig.uffd.copy(page_of(range, 1).begin, content.data(), content.size()));
  check_again(rig.uffd.zeropage(page_of(range, 1, 2)));
  check_again(rig.uffd.write_protect(page_of(range, 1)));
  if (rig.uffd.features().has(UffdFeature::poison)) check_again(rig.uffd.poison(page_of(range, 3)));
  if (rig.uffd.features().has(UffdFeature::move))
    check_again(rig.uffd.move(page_of(range, 3).begin, source.begin, page_size()));
  CHECK(rig.uffd.wake(range).ok());

  const UffdEvent event = rig.next_event();
  REQUIRE(std::holds_alternative<RemoveEvent>(event));
  rig.join();
  CHECK(rig.uffd.copy(page_of(range, 1).begin, content.data(), content.size()).ok());
}

TEST_CASE("what a fill refuses, and why") {
  auto uffd = open_or_skip("refused fills", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  const Range elsewhere = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  const auto content = page_filled_with('c', 2);

  CHECK(rig.uffd.copy(range.begin + 1, content.data(), page_size()).outcome ==
        UffdOutcome::invalid);
  CHECK(rig.uffd.copy(range.begin, content.data(), 17).outcome == UffdOutcome::invalid);
  CHECK(rig.uffd.copy(range.begin, content.data(), 0).outcome == UffdOutcome::invalid);
  CHECK(rig.uffd.zeropage(Range{range.begin, 1}).outcome == UffdOutcome::invalid);
  CHECK(rig.uffd.wake(Range{range.begin, 1}).outcome == UffdOutcome::invalid);
  CHECK(rig.uffd.write_protect(Range{range.begin, 1}).outcome == UffdOutcome::invalid);
  CHECK(rig.uffd.copy(elsewhere.begin, content.data(), page_size()).outcome ==
        UffdOutcome::not_found);

  void* unreadable = ::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(unreadable != MAP_FAILED);
  const UffdResult bad = rig.uffd.copy(range.begin, unreadable, page_size());
  CHECK(bad.outcome == UffdOutcome::bad_address);
  CHECK(bad.bytes == 0);
  CHECK(error_of(bad, "filling", range).message().find("EFAULT") != std::string::npos);
  ::munmap(unreadable, page_size());

  // None of it left a trace; and the source may lie anywhere.
  CHECK_FALSE(is_present(range.begin));
  CHECK(rig.uffd.copy(range.begin, content.data() + 3, page_size()).ok());
}

TEST_CASE("MOVE takes the page away from its source") {
  auto uffd = open_or_skip("MOVE", Userfaultfd::Builder().require_features(UffdFeature::move));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range target = rig.map(4);
  const Range source = rig.map(4);
  REQUIRE(rig.uffd.register_range(target));
  poke(source.begin + 5, 'm');
  poke(page_of(source, 2).begin, 'n');

  CHECK(rig.uffd.move(target.begin, source.begin, page_size()).ok());
  CHECK(peek(target.begin + 5) == 'm');
  CHECK(peek(source.begin + 5) == 0);  // a hole again, and not registered

  const UffdResult hole =
      rig.uffd.move(page_of(target, 1).begin, page_of(source, 1).begin, page_size());
  CHECK(hole.outcome == UffdOutcome::not_found);
  CHECK(hole.bytes == 0);
  const UffdResult over =
      rig.uffd.move(page_of(target, 1).begin, page_of(source, 1).begin, 3 * page_size(), true);
  CHECK(over.ok());
  CHECK(over.bytes == 3 * page_size());
  CHECK(peek(page_of(target, 2).begin) == 'n');
  CHECK(rig.uffd.move(target.begin + 1, source.begin, page_size()).outcome == UffdOutcome::invalid);
}

TEST_CASE("MOVE refuses a page that a forked child shares") {
  auto uffd =
      open_or_skip("MOVE after fork", Userfaultfd::Builder().require_features(UffdFeature::move));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range target = rig.map(1);
  const Range source = rig.map(1);
  REQUIRE(rig.uffd.register_range(target));
  poke(source.begin, 's');
  int hold[2];
  REQUIRE(::pipe(hold) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(hold[1]);
    char byte;
    (void)!::read(hold[0], &byte, 1);  // until the parent is done
    ::_exit(0);
  }
  ::close(hold[0]);
  const UffdResult shared = rig.uffd.move(target.begin, source.begin, page_size());
  ::close(hold[1]);
  ::waitpid(child, nullptr, 0);
  CHECK(shared.outcome == UffdOutcome::busy);
  CHECK(error_of(shared, "moving", target).code == ErrorCode::busy);
  CHECK(peek(source.begin) == 's');
}

// For the next case's child: where SIGBUS struck.
sigjmp_buf bus_return;
int bus_code = 0;
std::uintptr_t bus_address = 0;

TEST_CASE(
    "touching a poisoned page is SIGBUS there, and EFAULT for system calls; others are fine") {
  const ChildResult result = in_child([](auto say) {
    auto uffd = Userfaultfd::Builder().require_features(UffdFeature::poison).create();
    if (!uffd) return say(uffd.error().message()), 77;
    auto memory = os::Mapping::anonymous(3 * page_size(), os::HugePages::never);
    if (!memory || !uffd->register_range(memory->range())) return 2;
    const Range bad = page_of(memory->range(), 1);
    if (!uffd->poison(bad).ok()) return 3;
    if (!uffd->zeropage(page_of(memory->range(), 0)).ok()) return 4;
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      bus_code = info->si_code;
      bus_address = reinterpret_cast<std::uintptr_t>(info->si_addr);
      ::siglongjmp(bus_return, 1);
    };
    ::sigaction(SIGBUS, &action, nullptr);
    if (sigsetjmp(bus_return, 1) == 0) {
      (void)peek(bad.begin + 9);
      return 5;
    }
    // The latter where the kernel is built without memory failure handling.
    if (bus_code != BUS_MCEERR_AR && bus_code != BUS_ADRERR) return 6;
    if (Address(bus_address).align_down(page_size()) != bad.begin) return 7;
    int ends[2];
    if (::pipe(ends) != 0 || ::write(ends[1], bad.begin.as(), 1) != -1 || errno != EFAULT) return 8;
    return peek(memory->range().begin) == 0 ? 0 : 9;
  });
  if (result.exit_code == 77) return print_skip("POISON", result.text);
  CHECK(result.exit_code == 0);
  CHECK(result.signal == 0);
}

TEST_CASE("a fill without waking leaves the toucher asleep until it is woken") {
  auto uffd = open_or_skip("DONTWAKE", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_range(range));
  std::atomic<int> seen = -1;
  rig.start([&] { seen = peek(range.begin); });
  CHECK(rig.next_fault().address == range.begin);
  CHECK(rig.uffd
            .copy(range.begin, page_filled_with('w', 2).data(), 2 * page_size(), CopyMode::plain,
                  WakeMode::dont_wake)
            .ok());
  // No clock tells that a thread will sleep on, but the kernel's count of waiters does.
  CHECK(rig.uffd.info().value().total == 1);
  CHECK(seen == -1);
  CHECK(rig.uffd.wake(range).ok());
  rig.join();
  CHECK(seen == 'w');
  CHECK(rig.uffd.info().value().total == 0);
}

TEST_CASE("in user mode, a system call into an unfilled page fails, and nobody is asked") {
  auto uffd = open_or_skip("user mode", Userfaultfd::Builder().user_mode_only(true));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK(::write(ends[1], range.begin.as(), 1) == -1);
  CHECK(errno == EFAULT);
  CHECK(rig.has_no_event());
  CHECK(rig.uffd.zeropage(range).ok());
  CHECK(::write(ends[1], range.begin.as(), 1) == 1);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("with a full descriptor, a system call into an unfilled page waits for it") {
  auto uffd = open_or_skip("full", Userfaultfd::Builder().require_full(true));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  rig.start([&] { (void)!::write(ends[1], range.begin.as(), 3); });
  const PagefaultEvent fault = rig.next_fault();
  CHECK_FALSE(fault.write);
  CHECK(rig.uffd.copy(range.begin, page_filled_with('k').data(), page_size()).ok());
  char got[4] = {};
  CHECK(::read(ends[0], got, 3) == 3);
  CHECK(std::string(got) == "kkk");
  rig.join();
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace weir
