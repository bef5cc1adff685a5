// Every event, triggered for real and decoded; how reading behaves when there is none.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>

#include "runtime/os/userfaultfd_open.hpp"
#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"

namespace weir {
namespace {

using os::page_size;
using namespace test;

constexpr RegisterModes kBothModes = {RegisterMode::missing, RegisterMode::write_protect};

TEST_CASE("a page fault tells the page and the kind of access") {
  auto uffd = open_or_skip("pagefault",
                           Userfaultfd::Builder().require_features(UffdFeature::pagefault_flag_wp));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(3);
  REQUIRE(rig.uffd.register_with_mode(range, kBothModes));

  rig.start([&] { (void)peek(page_of(range, 0).begin); });
  const PagefaultEvent read = rig.next_fault();
  CHECK(read.address == range.begin);
  CHECK_FALSE(read.write);
  CHECK_FALSE(read.write_protected);
  CHECK_FALSE(read.minor);
  CHECK(read.thread == 0);
  CHECK(rig.uffd
            .copy(range.begin, page_filled_with('r').data(), page_size(), CopyMode::write_protected)
            .ok());
  rig.join();

  rig.start([&] { poke(page_of(range, 1).begin, 'x'); });
  const PagefaultEvent write = rig.next_fault();
  CHECK(write.address == page_of(range, 1).begin);
  CHECK(write.write);
  CHECK_FALSE(write.write_protected);
  CHECK(rig.uffd.zeropage(page_of(range, 1)).ok());
  rig.join();
  CHECK(peek(page_of(range, 1).begin) == 'x');

  rig.start([&] { poke(range.begin + 1, 'y'); });
  const PagefaultEvent armed = rig.next_fault();
  CHECK(armed.address == range.begin);
  CHECK(armed.write);
  CHECK(armed.write_protected);
  CHECK(rig.uffd.remove_write_protection(page_of(range, 0)).ok());
  rig.join();
  CHECK(peek(range.begin) == 'r');
  CHECK(peek(range.begin + 1) == 'y');
  CHECK(rig.has_no_event());
}

TEST_CASE("the fault's address is the page's, or to the byte with exact_address") {
  for (const bool exact : {false, true}) {
    auto builder = Userfaultfd::Builder();
    if (exact) builder.require_features(UffdFeature::exact_address);
    auto uffd = open_or_skip("exact_address", builder);
    if (!uffd) return;
    Rig rig(std::move(*uffd));
    const std::size_t offsets[] = {0, 1, 8, page_size() / 2 - 1, page_size() - 1};
    const Range range = rig.map(std::size(offsets));
    REQUIRE(rig.uffd.register_range(range));
    for (std::size_t i = 0; i < std::size(offsets); ++i) {
      const Address touched = page_of(range, i).begin + offsets[i];
      rig.start([touched] { (void)peek(touched); });
      CHECK(rig.next_fault().address == (exact ? touched : page_of(range, i).begin));
      CHECK(rig.uffd.zeropage(page_of(range, i)).ok());
      rig.join();
    }
  }
}

TEST_CASE("with thread_id a fault names its thread") {
  auto uffd =
      open_or_skip("thread_id", Userfaultfd::Builder().require_features(UffdFeature::thread_id));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  std::atomic<long> thread = 0;
  rig.start([&] {
    thread = ::syscall(SYS_gettid);
    (void)peek(range.begin);
  });
  const PagefaultEvent fault = rig.next_fault();
  CHECK(fault.thread == static_cast<std::uint32_t>(thread.load()));
  CHECK(thread != ::syscall(SYS_gettid));
  CHECK(rig.uffd.zeropage(range).ok());
}

TEST_CASE("moving, releasing and unmapping memory are events, and wait until they are read") {
  auto uffd = open_or_skip("VMA events", Userfaultfd::Builder().require_features(
                                             {UffdFeature::event_remap, UffdFeature::event_remove,
                                              UffdFeature::event_unmap}));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(8);
  REQUIRE(rig.uffd.register_range(range));
  CHECK(rig.uffd.copy(range.begin, page_filled_with('a', 8).data(), range.size).ok());

  rig.start([&] { ::madvise(page_of(range, 1).begin.as(), 2 * page_size(), MADV_DONTNEED); });
  const UffdEvent removed = rig.next_event();
  REQUIRE(std::holds_alternative<RemoveEvent>(removed));
  CHECK(std::get<RemoveEvent>(removed).range == page_of(range, 1, 2));
  rig.join();
  CHECK_FALSE(is_present(page_of(range, 1).begin));
  CHECK(is_present(page_of(range, 3).begin));

  // To a place of our choice, so that the event can be checked to the byte.
  const Range place = rig.map(2);
  rig.start([&] {
    ::mremap(page_of(range, 4).begin.as(), 2 * page_size(), 2 * page_size(),
             MREMAP_MAYMOVE | MREMAP_FIXED, place.begin.as());
  });
  const UffdEvent event = rig.next_event();
  REQUIRE(std::holds_alternative<RemapEvent>(event));
  const auto remap = std::get<RemapEvent>(event);
  CHECK(remap.from == page_of(range, 4).begin);
  CHECK(remap.to == place.begin);
  CHECK(remap.size == 2 * page_size());
  const UffdEvent source = rig.next_event();  // the place it came from
  REQUIRE(std::holds_alternative<UnmapEvent>(source));
  CHECK(std::get<UnmapEvent>(source).range == page_of(range, 4, 2));
  rig.join();
  CHECK(peek(place.begin) == 'a');
  CHECK(rig.uffd.zeropage(page_of(place, 0)).outcome == UffdOutcome::exists);  // still registered

  rig.start([&] { ::munmap(page_of(range, 6).begin.as(), 2 * page_size()); });
  const UffdEvent unmapped = rig.next_event();
  REQUIRE(std::holds_alternative<UnmapEvent>(unmapped));
  CHECK(std::get<UnmapEvent>(unmapped).range == page_of(range, 6, 2));
  rig.join();
}

TEST_CASE("fork is an event with a descriptor for the child's memory") {
  auto uffd =
      open_or_skip("fork event", Userfaultfd::Builder().require_features(
                                     {UffdFeature::event_fork, UffdFeature::pagefault_flag_wp}));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(2);
  REQUIRE(rig.uffd.register_with_mode(range, kBothModes));
  CHECK(rig.uffd
            .copy(range.begin, page_filled_with('p').data(), page_size(), CopyMode::write_protected)
            .ok());

  std::atomic<pid_t> child = -1;
  rig.start([&] {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::alarm(60);
      poke(range.begin, 'c');                          // armed in the child too
      ::_exit(peek(page_of(range, 1).begin) == 'm' &&  // missing in the child too
                      peek(range.begin) == 'c' && peek(range.begin + 1) == 'p'
                  ? 0
                  : 1);
    }
    child = pid;
  });
  const UffdEvent event = rig.next_event();
  REQUIRE(std::holds_alternative<ForkEvent>(event));
  // A descriptor is opened while the other thread is still inside fork(2): no lock is in the way.
  Userfaultfd of_child =
      Userfaultfd::from_raw_fd(std::get<ForkEvent>(event).child_fd, rig.uffd.features());
  REQUIRE(of_child.is_open());
  CHECK(of_child.fd() != rig.uffd.fd());

  const auto write = std::get<PagefaultEvent>(rig.next_event(of_child));
  CHECK(write.address == range.begin);
  CHECK(write.write_protected);
  CHECK(of_child.remove_write_protection(page_of(range, 0)).ok());
  const auto read = std::get<PagefaultEvent>(rig.next_event(of_child));
  CHECK(read.address == page_of(range, 1).begin);
  CHECK(of_child.copy(page_of(range, 1).begin, page_filled_with('m').data(), page_size()).ok());
  rig.join();
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);

  // The parent's pages are untouched; the child's memory is gone.
  CHECK(peek(range.begin) == 'p');
  CHECK(is_armed(range.begin));
  CHECK_FALSE(is_present(page_of(range, 1).begin));
  CHECK(of_child.zeropage(page_of(range, 1)).outcome == UffdOutcome::no_such_process);
}

TEST_CASE("a descriptor may be opened and closed while fork waits for its event to be read") {
  auto uffd =
      open_or_skip("fork event", Userfaultfd::Builder().require_features(UffdFeature::event_fork));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  REQUIRE(rig.uffd.register_range(rig.map(1)));
  std::atomic<pid_t> child = -1;
  rig.start([&] {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    child = pid;
  });
  pollfd wait{rig.uffd.fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 30'000) == 1);
  for (int i = 0; i < 100; ++i) CHECK(Userfaultfd::Builder().create().has_value());
  CHECK(child == -1);
  const UffdEvent event = rig.next_event();
  REQUIRE(std::holds_alternative<ForkEvent>(event));
  const MemoryFd of_child(std::get<ForkEvent>(event).child_fd);
  rig.join();
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("read_events reads a batch, in order, as many as fit") {
  auto uffd = open_or_skip("batch", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  constexpr std::size_t kThreads = 5;
  const Range range = rig.map(kThreads);
  REQUIRE(rig.uffd.register_range(range));
  for (std::size_t i = 0; i < kThreads; ++i) {
    rig.start([&, i] { (void)peek(page_of(range, i).begin); });
    while (rig.uffd.info().value().pending != i + 1) std::this_thread::yield();
  }
  UffdEventBuffer buffer(3);
  CHECK(buffer.capacity() == 3);
  std::vector<UffdEvent> events;
  events.reserve(8);
  CHECK(rig.uffd.read_events(buffer, events).value() == 3);
  CHECK(rig.uffd.info().value().pending == 2);
  CHECK(rig.uffd.info().value().total == kThreads);
  CHECK(rig.uffd.read_events(buffer, events).value() == 2);  // fewer than fit
  CHECK(rig.uffd.read_events(buffer, events).value() == 0);
  REQUIRE(events.size() == kThreads);
  std::vector<bool> seen(kThreads);
  for (const UffdEvent& event : events) {
    const Address address = std::get<PagefaultEvent>(event).address;
    REQUIRE(range.contains(address));
    seen[(address - range.begin) / page_size()] = true;
  }
  CHECK(seen == std::vector<bool>(kThreads, true));
  CHECK(rig.uffd.zeropage(range).ok());
  rig.join();
  CHECK(rig.uffd.info().value().total == 0);
}

TEST_CASE("reading when there is nothing, too little room, or no handshake") {
  auto uffd = open_or_skip("reading", Userfaultfd::Builder());
  if (!uffd) return;
  CHECK(std::holds_alternative<std::monostate>(uffd->read_event().value()));
  UffdEventBuffer none(0);
  std::vector<UffdEvent> events;
  CHECK(uffd->read_events(none, events).error().code == ErrorCode::invalid_argument);
  char half[16];
  CHECK(::read(uffd->fd(), half, sizeof half) == -1);
  CHECK(errno == EINVAL);

  const Userfaultfd raw =
      Userfaultfd::from_raw_fd(os::open_userfaultfd(uffd->open_path(), O_CLOEXEC | O_NONBLOCK));
  REQUIRE(raw.is_open());
  CHECK(raw.read_event().error().code == ErrorCode::invalid_argument);
  pollfd wait{raw.fd(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 1);
  CHECK(wait.revents == POLLERR);
}

TEST_CASE("poll: nothing on an idle descriptor, POLLERR on a blocking one") {
  auto idle = open_or_skip("poll", Userfaultfd::Builder());
  if (!idle) return;
  pollfd wait{idle->fd(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 0);
  auto blocking = Userfaultfd::Builder().non_blocking(false).create();
  REQUIRE(blocking);
  wait = {blocking->fd(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 1);
  CHECK(wait.revents == POLLERR);
}

TEST_CASE("a blocking descriptor waits in read_event") {
  auto uffd = open_or_skip("blocking", Userfaultfd::Builder().non_blocking(false));
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  rig.start([&] { (void)peek(range.begin); });
  const auto event = rig.uffd.read_event();
  REQUIRE(event);
  CHECK(std::get<PagefaultEvent>(std::get<UffdEvent>(*event)).address == range.begin);
  CHECK(rig.uffd.zeropage(range).ok());
}

TEST_CASE("fdinfo counts the waiters, read or not") {
  auto uffd = open_or_skip("fdinfo", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  const auto check = [&](std::uint64_t pending, std::uint64_t total) {
    const auto info = rig.uffd.info();
    REQUIRE(info);
    CHECK(info->pending == pending);
    CHECK(info->total == total);
    CHECK(info->features == rig.uffd.features());
  };
  check(0, 0);
  rig.start([&] { (void)peek(range.begin); });
  pollfd wait{rig.uffd.fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 30'000) == 1);
  check(1, 1);
  CHECK(rig.next_fault().address == range.begin);
  check(0, 1);
  CHECK(rig.uffd.zeropage(range).ok());
  rig.join();
  check(0, 0);
}

TEST_CASE("closing with a waiter gives it a zero page: why teardown fills first") {
  auto uffd = open_or_skip("close with a waiter", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  std::atomic<int> seen = -1;
  rig.start([&] { seen = peek(range.begin); });
  CHECK(rig.next_fault().address == range.begin);
  rig.uffd = Userfaultfd();
  rig.join();
  CHECK(seen == 0);
}

TEST_CASE("with the SIGBUS feature the toucher gets the signal, and no event is queued") {
  const ChildResult result = in_child([](auto say) {
    auto uffd = Userfaultfd::Builder().require_features(UffdFeature::sigbus).create();
    if (!uffd) return say(uffd.error().message()), 77;
    auto memory = os::Mapping::anonymous(page_size(), os::HugePages::never);
    if (!memory || !uffd->register_range(memory->range())) return 2;
    static Address touched;
    static const Userfaultfd* server;
    touched = memory->range().begin + 5;
    server = &*uffd;
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      // The handler answers the fault itself: the access is made again when it returns.
      if (info->si_code != BUS_ADRERR || Address(info->si_addr) != touched) ::_exit(3);
      const Range page{touched.align_down(page_size()), page_size()};
      if (!server->zeropage(page).ok()) ::_exit(4);
    };
    ::sigaction(SIGBUS, &action, nullptr);
    if (peek(touched) != 0) return 5;
    return std::holds_alternative<std::monostate>(uffd->read_event().value()) ? 0 : 6;
  });
  if (result.exit_code == 77) return print_skip("SIGBUS", result.text);
  CHECK(result.exit_code == 0);
  CHECK(result.signal == 0);
}

}  // namespace
}  // namespace weir
