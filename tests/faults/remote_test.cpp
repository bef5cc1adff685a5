// One server, the pages of other processes: they hand over their userfaultfd, fork, move, remove
// and unmap their memory, and die.
#include <sys/mman.h>

#include "tests/faults/remote_client.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

constexpr std::size_t kPages = kClientPages;

TEST_CASE("a process is served through forks, moves, removals and unmappings, to its end") {
  if (!can_be_served("remote: life")) return;
  const std::uint64_t seed = seed_for("remote: life");
  const auto life = [](Range range, const OracleSource& oracle) {
    if (!all_match(range, oracle, 0, 4)) return 1;
    const pid_t child = ::fork();  // EVENT_FORK
    if (child == 0) ::_exit(all_match(range, oracle, 0, 16) ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) return 2;
    // EVENT_REMOVE: filled and unfilled ones
    if (::madvise(page_of(range, 2, 4).begin.as(), 4 * page_size(), MADV_DONTNEED) != 0) return 3;
    for (std::size_t i = 2; i < 6; ++i)
      if (!is_zero(page_of(range, i).begin)) return 4;
    if (!all_match(range, oracle, 6, 16)) return 5;
    // EVENT_REMAP, in the middle of the range; and once more from there
    std::vector<os::Mapping> keep;
    const Range places = map_pages(keep, 32);
    void* moved = ::mremap(page_of(range, 16).begin.as(), 16 * page_size(), 16 * page_size(),
                           MREMAP_MAYMOVE | MREMAP_FIXED, page_of(places, 0).begin.as());
    if (moved == MAP_FAILED) return 6;
    const Address there(moved);
    for (std::size_t i = 0; i < 8; ++i)
      if (!oracle.matches(there + i * page_size(), 16 + i)) return 7;
    void* again = ::mremap(moved, 16 * page_size(), 16 * page_size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                           page_of(places, 16).begin.as());
    if (again == MAP_FAILED) return 8;
    for (std::size_t i = 0; i < 16; ++i)
      if (!oracle.matches(Address(again) + i * page_size(), 16 + i)) return 9;
    // EVENT_UNMAP; what is mapped there next is not ours to fill
    const Range hole = page_of(range, 40, 4);
    if (::munmap(hole.begin.as(), hole.size) != 0) return 10;
    if (::mmap(hole.begin.as(), hole.size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
      return 11;
    if (!is_zero(hole.begin) || !all_match(range, oracle, 32, 40)) return 12;
    return all_match(range, oracle, 44, kPages) ? 0 : 13;
  };
  Client first(seed, life), second(seed + 1, life);  // forked before the server is there
  OracleSource source(seed, kPages), child_source(seed, kPages), own(seed, 4);
  OracleSource source2(seed + 1, kPages), child_source2(seed + 1, kPages);
  source.child = &child_source;
  source2.child = &child_source2;
  auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
  auto server = start_or_skip("remote: life", Delivery::thread);
  REQUIRE(first.hand_to(*server, source));
  REQUIRE(second.hand_to(*server, source2));
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
  server->drop_departed();
  wait_for_spaces(*server, 0);

  // And it goes on serving its own.
  REQUIRE(server->serve_missing(memory.range(), own));
  for (std::size_t i = 0; i < 4; ++i) CHECK(own.matches(page_of(memory.range(), i).begin, i));
}

TEST_CASE("a child that nobody serves reads zeros; its parent goes on") {
  if (!can_be_served("remote: unserved child")) return;
  const std::uint64_t seed = seed_for("remote: unserved child");
  Client client(seed, [](Range range, const OracleSource& oracle) {
    if (!all_match(range, oracle, 0, 2)) return 1;
    const pid_t child = ::fork();
    if (child == 0)
      ::_exit(all_match(range, oracle, 0, 2) && is_zero(page_of(range, 5).begin) ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0 && all_match(range, oracle, 0, kPages) ? 0 : 2;
  });
  OracleSource source(seed, kPages);  // child is nullptr
  auto server = start_or_skip("remote: unserved child", Delivery::thread);
  REQUIRE(client.hand_to(*server, source));
  CHECK(client.wait() == 0);
}

TEST_CASE("processes are killed while they are served, and their descriptors go") {
  if (!can_be_served("remote: killed")) return;
  const std::uint64_t seed = seed_for("remote: killed");
  for (std::size_t round = 0; round < scaled(10); ++round) {
    Client dying(seed, [](Range range, const OracleSource& oracle) {
      for (;;) {
        if (!all_match(range, oracle, 0, kPages / 2)) return 1;
        ::madvise(range.begin.as(), page_size(), MADV_NORMAL);
      }
    });
    Client living(seed, [](Range range, const OracleSource& oracle) {
      return all_match(range, oracle, 0, kPages) ? 0 : 1;
    });
    OracleSource source(seed, kPages), source2(seed, kPages);
    auto server = start_or_skip("remote: killed", Delivery::thread);
    REQUIRE(dying.hand_to(*server, source));
    CHECK(server->remote_spaces() == 1);
    if (round % 2 == 0)
      while (source.fills.load() < 5) ::sched_yield();
    REQUIRE(::kill(dying.pid(), SIGKILL) == 0);
    CHECK(dying.wait() == -SIGKILL);
    REQUIRE(living.hand_to(*server, source2));  // looks for the departed by itself
    CHECK(living.wait() == 0);
    server->drop_departed();
    wait_for_spaces(*server, 0);
  }
}

TEST_CASE("the end of the server fills what its processes still miss") {
  if (!can_be_served("remote: end")) return;
  const std::uint64_t seed = seed_for("remote: end");
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Client client(seed, [&](Range range, const OracleSource& oracle) {
    if (!all_match(range, oracle, 0, 2)) return 1;
    char go;
    if (::read(ends[0], &go, 1) != 1) return 2;
    return all_match(range, oracle, 0, kPages) ? 0 : 3;
  });
  OracleSource source(seed, kPages);
  auto server = start_or_skip("remote: end", Delivery::thread);
  REQUIRE(client.hand_to(*server, source));
  server.reset();
  REQUIRE(::write(ends[1], "g", 1) == 1);
  CHECK(client.wait() == 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("pages that were registered and not named end in SIGBUS, not in a loop or in zeros") {
  auto features = Userfaultfd::available_features();
  if (!can_be_served("remote: not named")) return;
  if (!features || !features->has(UffdFeature::poison))
    return print_skip("remote: not named", "this kernel cannot poison (Linux 6.6)");
  const std::uint64_t seed = seed_for("remote: not named");
  Client client(
      seed,
      [](Range range, const OracleSource&) {
        (void)peek(range.end());  // the first page after what it told of
        return 0;
      },
      2);
  OracleSource source(seed, kPages);
  auto server = start_or_skip("remote: not named", Delivery::thread);
  REQUIRE(client.hand_to(*server, source));
  CHECK(client.wait() == -SIGBUS);
}

TEST_CASE("refused: what is no userfaultfd, what overlaps, and by SIGBUS") {
  OracleSource source(1, 4);
  const Range range{Address(std::uintptr_t{1} << 30), 4 * page_size()};
  auto server = start_or_skip("remote: refused", Delivery::thread);
  if (server == nullptr) return;
  const auto open = [] { return *Userfaultfd::Builder().create(); };
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const FaultServer::RemotePages good[] = {{range, &source}};
  const FaultServer::RemotePages twice[] = {{range, &source}, {page_of(range, 1), &source}};
  const FaultServer::RemotePages crooked[] = {{{range.begin + 1, page_size()}, &source}};
  CHECK(server->adopt(Userfaultfd::from_raw_fd(ends[0]), good).error().code ==
        ErrorCode::invalid_argument);
  CHECK(server->adopt(open(), twice).error().code == ErrorCode::busy);
  CHECK(server->adopt(open(), crooked).error().code == ErrorCode::misaligned);
  CHECK(server->remote_spaces() == 0);
  ::close(ends[1]);
  auto by_signal = start_or_skip("remote: refused", Delivery::sigbus);
  if (by_signal != nullptr)
    CHECK(by_signal->adopt(open(), good).error().code == ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace weir
