// Life of a heap with generations after all descriptors are closed, after a seccomp lockdown, and
// without /proc, under every barrier: right, or stopped with a sentence. Never silent loss.
#include "tests/collector/lockdown.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <weir/barrier.hpp>
#include <weir/userfaultfd.hpp>

#include "tests/collector/graph.hpp"
#include "tests/support/random.hpp"

using namespace weir;
using namespace weir::test;

#ifndef __SANITIZE_THREAD__  // whose processes do not fork once they have threads
namespace {

const char* name_of(weir_barrier barrier) {
  return weir::name_of(kBarrierKinds[static_cast<std::size_t>(barrier) - 1]);
}

// What a heap is looked at with: the graph, and a table so large that the collector asks the system
// which parts of it have memory. Its slots refer to young objects that nothing else keeps.
class Patient {
 public:
  Patient(const weir_config& config, std::uint64_t seed, const weir_mutator_config& how = kPrecise)
      : heap_(config), mutator_(heap_, how), kinds_(heap_), frame_(mutator_) {
    frame_[0] = weir_allocate(mutator_, WEIR_KIND_SLOTS, kSlots * sizeof(void*));
    REQUIRE(frame_[0] != nullptr);
    graph_.emplace(mutator_, kinds_, !how.conservative_stack, true, seed);
  }
  weir_heap* heap() const { return heap_; }

  void live(std::size_t steps) {
    for (std::size_t step = 1; step <= steps; ++step) {
      graph_->step();
      if (step % 50 == 0) store_in_table();
      if (step % 500 == 0)
        graph_->collect_and_check();
      else if (step % 100 == 0)
        graph_->collect_minor_and_check();
      if (step % 100 == 0) check_table();
    }
  }

 private:
  static constexpr std::size_t kSlots = std::size_t{1} << 19;  // 4 MiB
  static constexpr std::size_t kApart = kSlots / 61;

  void** slot(std::size_t number) {
    return static_cast<void**>(frame_[0]) + number * kApart % kSlots;
  }
  void store_in_table() {
    auto* made = static_cast<std::size_t*>(weir_allocate(mutator_, WEIR_KIND_SLOTS, 32));
    REQUIRE(made != nullptr);
    made[1] = ++stored_ << 1 | std::size_t{1} << 63;  // no address
    *slot(stored_) = made;
    weir_write_barrier(mutator_, frame_[0], slot(stored_));
  }
  void check_table() {
    for (std::size_t number = stored_; number > 0 && stored_ - number < 60; --number)
      REQUIRE(static_cast<std::size_t*>(*slot(number))[1] == (number << 1 | std::size_t{1} << 63));
  }

  TestHeap heap_;
  TestMutator mutator_;
  Kinds kinds_;
  TestFrame<1> frame_;
  std::size_t stored_ = 0;
  std::optional<Graph> graph_;
};

struct SetUp {
  weir_barrier barrier;
  weir_arena arena;
};

std::vector<SetUp> set_ups() {
  std::vector<SetUp> all;
  for (const weir_barrier barrier : kBarriers) all.push_back({barrier, WEIR_ARENA_FRESH});
  for (const weir_barrier barrier :
       {WEIR_BARRIER_ASYNC, WEIR_BARRIER_UFFD_THREAD, WEIR_BARRIER_UFFD_SIGBUS})
    all.push_back({barrier, WEIR_ARENA_MISSING_WP});
  return all;
}

// Done to a process in the middle of its life. False: it cannot be done here.
struct Harm {
  std::function<bool()> begin;
  std::function<bool()> is_well_after = [] { return true; };  // what is not Weir's
};

// A heap lives, is harmed, and lives on. `expected`: how that may end.
void check(const char* what, const Harm& harm, std::initializer_list<Ending::Kind> expected) {
  const std::uint64_t seed = seed_for(what);
  for (const SetUp& set_up : set_ups()) {
    weir_config config = small_heap();
    config.barrier = set_up.barrier;
    config.arena = set_up.arena;
    if (!TestHeap::can_be_made(config)) continue;
    const Ending ending = ending_of([&] {
      Patient patient(config, seed);
      patient.live(scaled(2000));
      if (!harm.begin()) return kNotHere;
      patient.live(scaled(2000));
      return harm.is_well_after() ? 0 : 1;
    });
    std::printf("%s: %s%s: %s. %s\n", what, name_of(set_up.barrier),
                set_up.arena == WEIR_ARENA_FRESH ? "" : ", missing-wp", name_of(ending.kind),
                ending.said.c_str());
    if (ending.kind == Ending::not_here) continue;
    CAPTURE(what);
    CAPTURE(name_of(set_up.barrier));
    CAPTURE(set_up.arena);
    CHECK_MESSAGE(std::count(expected.begin(), expected.end(), ending.kind) == 1, ending.said);
  }
}

constexpr int kNumbers = 64;  // more than anything here has open

// By the bare system call: that nobody knows of it is the point.
bool close_all() {
  for (int fd = 3; fd < kNumbers; ++fd) ::syscall(SYS_close, fd);
  return true;
}

// All numbers that were open are `heir` from now on.
bool replace_all(int heir) {
  const int high = ::fcntl(heir, F_DUPFD, kNumbers);
  if (high < 0) return false;
  close_all();
  for (int fd = 3; fd < kNumbers; ++fd)
    if (::dup2(high, fd) != fd) return false;
  return true;
}

bool replace_all_by_pagemap_of(pid_t process) {
  return replace_all(
      ::open(("/proc/" + std::to_string(process) + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
}

// A child that has the same memory, and stays as it is.
pid_t fork_a_sleeper() {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_all();  // what others wait for the end of
  ::alarm(60);
  while (::getppid() == parent) ::pause();
  ::_exit(0);
}

// Never needed by a heap that is set up: where it has to do without, it must know.
const std::vector<long> kForDescriptors = {
    SYS_userfaultfd, SYS_ioctl,    SYS_open,         SYS_openat,           SYS_openat2,
    SYS_pipe2,       SYS_eventfd2, SYS_memfd_create, SYS_process_vm_readv, SYS_process_vm_writev};

}  // namespace

TEST_CASE("nothing is done") {
  check("nothing", {[] { return true; }}, {Ending::right});
}

TEST_CASE("all descriptors are closed in the middle") {
  check("closed", {close_all}, {Ending::right, Ending::with_a_sentence});
}

TEST_CASE("all descriptors are closed, and their numbers are other files") {
  check("a pipe", {[] {
          int ends[2];
          return ::pipe(ends) == 0 && replace_all(ends[0]);
        }},
        {Ending::right, Ending::with_a_sentence});
  check("/dev/zero", {[] { return replace_all(::open("/dev/zero", O_RDWR)); }},
        {Ending::right, Ending::with_a_sentence});
  check("a userfaultfd", {[] {
          static auto other = Userfaultfd::Builder().create();
          return other.has_value() && replace_all(other->fd());
        }},
        {Ending::right, Ending::with_a_sentence});
  constexpr char kPrecious[] = "what somebody wrote";
  check("a file",
        {[&] {
           const int file = ::memfd_create("precious", 0);
           return ::write(file, kPrecious, sizeof kPrecious) == sizeof kPrecious &&
                  replace_all(file);
         },
         [&] {
           char content[2 * sizeof kPrecious] = {};
           return ::pread(3, content, sizeof content, 0) == sizeof kPrecious &&
                  std::memcmp(content, kPrecious, sizeof kPrecious) == 0 &&
                  ::lseek(3, 0, SEEK_CUR) == sizeof kPrecious;
         }},
        {Ending::right, Ending::with_a_sentence});
}

TEST_CASE("all descriptors are closed, and their numbers are page maps of other processes") {
  check("the parent's", {[] { return replace_all_by_pagemap_of(::getppid()); }},
        {Ending::right, Ending::with_a_sentence});
  check("a child's", {[] { return replace_all_by_pagemap_of(fork_a_sleeper()); }},
        {Ending::right, Ending::with_a_sentence});
}

TEST_CASE("a seccomp filter that refuses what opens and uses descriptors") {
  check("EPERM", {[] { return forbid(kForDescriptors, SECCOMP_RET_ERRNO | EPERM); }},
        {Ending::right, Ending::with_a_sentence});
  check("ENOSYS", {[] { return forbid(kForDescriptors, SECCOMP_RET_ERRNO | ENOSYS); }},
        {Ending::right, Ending::with_a_sentence});
}

TEST_CASE("the same and all descriptors closed") {
  check("closed and EPERM",
        {[] { return close_all() && forbid(kForDescriptors, SECCOMP_RET_ERRNO | EPERM); }},
        {Ending::right, Ending::with_a_sentence});
}

TEST_CASE("a seccomp filter that kills: the kernel ends the process, or nothing is needed") {
  check("kill", {[] { return forbid(kForDescriptors, SECCOMP_RET_KILL_PROCESS); }},
        {Ending::right, Ending::killed});
}

TEST_CASE("/proc goes away in the middle") {
  check("no /proc", {take_proc_away}, {Ending::right});
  check("no /proc, all closed", {[] { return take_proc_away() && close_all(); }},
        {Ending::right, Ending::with_a_sentence});
}

TEST_CASE("/proc was never there: what is chosen works, and says why it is not a better one") {
  const std::uint64_t seed = seed_for("never a /proc");
  weir_config async = small_heap();
  async.barrier = WEIR_BARRIER_ASYNC;
  const bool has_async = TestHeap::can_be_made(async);
  for (const bool is_precise : {true, false}) {
    const Ending ending = ending_of([&] {
      if (!take_proc_away()) return kNotHere;
      // A conservative one has to know where the main thread's stack is.
      Patient patient(small_heap(), seed, is_precise ? kPrecise : kConservative);
      patient.live(scaled(2000));
      std::string reasons;
      weir_heap_barrier_reasons(
          patient.heap(),
          [](const char* barrier, const char* reason, void* data) {
            *static_cast<std::string*>(data) += std::string(barrier) + ": " + reason + "\n";
          },
          &reasons);
      std::fprintf(stderr, "%s\n%s", weir_heap_barrier(patient.heap()), reasons.c_str());
      // Of a kernel that would have it, the reason is /proc.
      return reasons.starts_with(has_async ? "async: opening /proc/self/pagemap failed" : "async: ")
                 ? 0
                 : 1;
    });
    std::printf("never a /proc: %s. %s\n", name_of(ending.kind), ending.said.c_str());
    if (ending.kind != Ending::not_here) CHECK_MESSAGE(ending.kind == Ending::right, ending.said);
  }
}
#endif
