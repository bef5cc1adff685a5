// Opening a userfaultfd: the ladder, the handshake, what the builder takes and refuses.
#include "runtime/os/userfaultfd_open.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "runtime/os/abi.hpp"
#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"

namespace weir {
namespace {

using namespace test;

// Our numbers against those of the header on this machine, which may be older and have fewer.
static_assert(os::abi::kApi == UFFDIO_API && os::abi::kRegister == UFFDIO_REGISTER);
static_assert(os::abi::kUnregister == UFFDIO_UNREGISTER && os::abi::kWake == UFFDIO_WAKE);
static_assert(os::abi::kCopy == UFFDIO_COPY && os::abi::kZeropage == UFFDIO_ZEROPAGE);
static_assert(os::abi::kWriteprotect == UFFDIO_WRITEPROTECT);
static_assert(os::abi::kContinue == UFFDIO_CONTINUE);
static_assert(sizeof(os::abi::UffdMsg) == sizeof(uffd_msg));
#ifdef UFFDIO_POISON
static_assert(os::abi::kPoison == UFFDIO_POISON);
#endif
#ifdef UFFDIO_MOVE
static_assert(os::abi::kMove == UFFDIO_MOVE);
#endif
#ifdef USERFAULTFD_IOC_NEW
static_assert(os::abi::kNewUserfaultfd == USERFAULTFD_IOC_NEW);
#endif
static_assert(static_cast<std::uint64_t>(UffdFeature::exact_address) == UFFD_FEATURE_EXACT_ADDRESS);
static_assert(static_cast<std::uint64_t>(UffdFeature::event_unmap) == UFFD_FEATURE_EVENT_UNMAP);

// A seccomp filter or an old kernel hides the system call: with a nonsense flag it says EINVAL when
// it is there.
bool system_call_reachable() {
  return ::syscall(SYS_userfaultfd, 0x7ffffff1) < 0 && errno == EINVAL;
}

bool has_ptrace_capability() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("CapEff:"))
      return (std::stoull(line.substr(7), nullptr, 16) >> 19 & 1) != 0;
  return false;
}

// What each rung must answer, from the documented rules: 0 or an errno.
int expected_errno(UffdOpenPath path) {
  if (path == UffdOpenPath::device) {
    const int fd = ::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (fd < 0) return errno;
    ::close(fd);
    return 0;
  }
  if (path == UffdOpenPath::user_mode_only) return 0;
  int unprivileged = 0;
  std::ifstream("/proc/sys/vm/unprivileged_userfaultfd") >> unprivileged;
  return unprivileged == 1 || has_ptrace_capability() ? 0 : EPERM;
}

// "" when every rung, and the builder above them, answers as it must. Runs in a child too.
std::string check_ladder() {
  std::string wrong;
  std::optional<UffdOpenPath> best;
  std::size_t refused = 0;
  for (UffdOpenPath path : os::kUffdLadder) {
    const int fd = os::open_userfaultfd(path, O_CLOEXEC | O_NONBLOCK);
    const int got = fd < 0 ? -fd : 0;
    if (fd >= 0) ::close(fd);
    if (got != expected_errno(path))
      wrong += std::string(name_of(path)) + ": errno " + std::to_string(got) + " instead of " +
               std::to_string(expected_errno(path)) + "\n";
    if (got == 0 && !best) best = path;
    if (got != 0 && !best) ++refused;
  }
  auto uffd = Userfaultfd::Builder().create();
  if (!uffd) return wrong + uffd.error().message();
  if (uffd->open_path() != best) wrong += "the builder took another rung than the first good one\n";
  if (uffd->refusals().size() != refused) wrong += "the builder did not note the refusals\n";
  for (const UffdRefusal& refusal : uffd->refusals())
    if (refusal.sys_errno != expected_errno(refusal.path))
      wrong += std::string("the builder noted another errno for ") + name_of(refusal.path) + "\n";
  if (uffd->is_full() != (*best != UffdOpenPath::user_mode_only)) wrong += "is_full is wrong\n";
  return wrong;
}

TEST_CASE("every rung opens, or says exactly why not: as this user") {
  if (!system_call_reachable()) return print_skip("ladder", "userfaultfd(2) is out of reach here");
  CHECK(check_ladder() == "");
}

TEST_CASE("every rung opens, or says exactly why not: as nobody") {
  if (!system_call_reachable()) return print_skip("ladder", "userfaultfd(2) is out of reach here");
  if (::geteuid() != 0) return print_skip("ladder as nobody", "needs root to become nobody");
  const ChildResult result = in_child([](auto say) {
    if (!become_nobody()) return 2;
    say(check_ladder());
    return 0;
  });
  CHECK(result.exit_code == 0);
  CHECK(result.text == "");
}

TEST_CASE("an error names every rung that was tried, and what to do") {
  if (::geteuid() != 0) return print_skip("refusals as nobody", "needs root to become nobody");
  const ChildResult result = in_child([](auto say) {
    if (!become_nobody()) return 2;
    if (expected_errno(UffdOpenPath::device) == 0 || expected_errno(UffdOpenPath::system_call) == 0)
      return 3;
    auto uffd = Userfaultfd::Builder().require_full(true).create();
    if (uffd) return 4;
    say(uffd.error().message());
    return uffd.error().code == ErrorCode::no_permission ? 0 : 5;
  });
  if (result.exit_code == 3)
    return print_skip("refusals as nobody", "nobody may open a full userfaultfd here");
  CHECK(result.exit_code == 0);
  CHECK(result.text.find("device: E") != std::string::npos);
  CHECK(result.text.find("system call: EPERM") != std::string::npos);
  CHECK(result.text.find("user-mode-only") == std::string::npos);  // was not tried
  CHECK(result.text.find("vm.unprivileged_userfaultfd=1") != std::string::npos);
}

TEST_CASE("the builder goes only where it may") {
  auto uffd = open_or_skip("user mode", Userfaultfd::Builder().user_mode_only(true));
  if (uffd) {
    CHECK(uffd->open_path() == UffdOpenPath::user_mode_only);
    CHECK_FALSE(uffd->is_full());
    CHECK(uffd->refusals().empty());
  }
  auto full = open_or_skip("full", Userfaultfd::Builder().require_full(true));
  if (full) CHECK(full->is_full());
  CHECK(Userfaultfd::Builder().user_mode_only(true).require_full(true).create().error().code ==
        ErrorCode::invalid_argument);
}

TEST_CASE("descriptor flags are as asked for") {
  for (bool yes : {true, false}) {
    auto uffd = open_or_skip("flags", Userfaultfd::Builder().close_on_exec(yes).non_blocking(yes));
    if (!uffd) return;
    CHECK(((::fcntl(uffd->fd(), F_GETFD) & FD_CLOEXEC) != 0) == yes);
    CHECK(((::fcntl(uffd->fd(), F_GETFL) & O_NONBLOCK) != 0) == yes);
  }
}

TEST_CASE("the handshake: a wrong version, an unknown feature, a second time") {
  auto uffd = open_or_skip("handshake", Userfaultfd::Builder());
  if (!uffd) return;
  const MemoryFd raw(os::open_userfaultfd(uffd->open_path(), O_CLOEXEC | O_NONBLOCK));
  REQUIRE(raw.is_open());

  os::abi::UffdioApi wrong{0xab, 0, 7};
  CHECK(::ioctl(raw.get(), os::abi::kApi, &wrong) == -1);
  CHECK(errno == EINVAL);
  CHECK(wrong.api == 0);
  CHECK(wrong.ioctls == 0);

  os::abi::UffdioApi unknown{os::abi::kUffdApi, 1ull << 62, 7};
  CHECK(::ioctl(raw.get(), os::abi::kApi, &unknown) == -1);
  CHECK(errno == EINVAL);
  CHECK(unknown.features == 0);
  CHECK(os::agree_on(raw.get(), UffdFeatures::from_bits(1ull << 62)).error().code ==
        ErrorCode::invalid_argument);

  // The failures left the descriptor as it was.
  const auto agreed = os::agree_on(raw.get(), {});
  REQUIRE(agreed);
  CHECK(agreed->ioctls.has_all({UffdIoctl::api, UffdIoctl::register_range, UffdIoctl::unregister}));
  CHECK(os::agree_on(raw.get(), {}).error().sys_errno == EINVAL);
}

TEST_CASE("required features are there or named; wanted ones come where they can") {
  const auto available = Userfaultfd::available_features();
  if (!available) return print_skip("features", available.error().message());
  const auto future = static_cast<UffdFeature>(1ull << 40);

  const auto refused = Userfaultfd::Builder().require_features(future).create();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().message().find("lacks unknown") != std::string::npos);

  const auto wanted =
      Userfaultfd::Builder().want_features({future, UffdFeature::pagefault_flag_wp}).create();
  REQUIRE(wanted);
  CHECK_FALSE(wanted->features().has(future));
  CHECK(wanted->features().has(UffdFeature::pagefault_flag_wp) ==
        available->has(UffdFeature::pagefault_flag_wp));

  if (available->has(UffdFeature::wp_async)) {
    const auto async = Userfaultfd::Builder().require_features(UffdFeature::wp_async).create();
    REQUIRE(async);
    CHECK(async->features() == UffdFeatures{UffdFeature::wp_async, UffdFeature::wp_unpopulated});
    CHECK(async->info().value().features == async->features());  // the kernel agrees
  }
}

TEST_CASE("asking what there is disturbs no open descriptor") {
  auto uffd = open_or_skip("available_features", Userfaultfd::Builder());
  if (!uffd) return;
  Rig rig(std::move(*uffd));
  const Range range = rig.map(1);
  REQUIRE(rig.uffd.register_range(range));
  const int fd = rig.uffd.fd();
  REQUIRE(Userfaultfd::available_features());
  REQUIRE(Userfaultfd::available_features());
  CHECK(rig.uffd.fd() == fd);
  CHECK(rig.uffd.zeropage(range).ok());
}

TEST_CASE("the fork event is privileged: required it fails, wanted it is left out") {
  if (::geteuid() != 0) return print_skip("fork event as nobody", "needs root to become nobody");
  const ChildResult result = in_child([](auto say) {
    if (!become_nobody()) return 2;
    auto builder = Userfaultfd::Builder().user_mode_only(true);
    auto wanted = builder.want_features(UffdFeature::event_fork).create();
    if (!wanted) return say(wanted.error().message()), 3;
    if (wanted->features().has(UffdFeature::event_fork)) return 4;
    auto required = builder.require_features(UffdFeature::event_fork).create();
    if (required) return 5;
    say(required.error().message());
    return required.error().code == ErrorCode::no_permission ? 0 : 6;
  });
  CAPTURE(result.text);
  CHECK(result.exit_code == 0);
  CHECK(result.text.find("CAP_SYS_PTRACE") != std::string::npos);
}

TEST_CASE("required ioctls are the descriptor's; those of memory come from registering") {
  auto uffd = open_or_skip("ioctls", Userfaultfd::Builder().require_ioctls(
                                         {UffdIoctl::register_range, UffdIoctl::unregister}));
  if (!uffd) return;
  CHECK(Userfaultfd::Builder().require_ioctls(UffdIoctl::copy).create().error().code ==
        ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace weir
