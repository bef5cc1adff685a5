// A collection at every instruction of the inline allocation: a tracer single-steps the thread that
// allocates, and before each instruction has another thread collect. The signal that stops the
// stepped thread finds it exactly there.
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

// ThreadSanitizer holds signals back until the program calls something: no step would be exact.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

using namespace weir::test;

namespace {

constexpr std::size_t kObjects = 24;

// What is allocated, outside of the heap and not a root.
struct Plan {
  weir_kind kind[kObjects];
  std::size_t size[kObjects];
  bool is_kept[kObjects];
};

// In memory that the tracer shares with the process it traces.
struct Shared {
  std::atomic<std::uint32_t> wanted;     // collections, by the tracer
  std::atomic<std::uint32_t> done;       // by the collecting thread
  std::atomic<std::uint32_t> is_ending;  // for the collecting thread
  char what_failed[200];
};

struct Node {
  Node* next;
  std::uint64_t number;
};

constexpr std::uint64_t pattern(std::size_t number) {
  return (number + 1) * 0x9e3779b97f4a7c15u | std::uint64_t{1} << 63;
}

// The only code of its section, so that the tracer knows where it begins and ends. The list that it
// makes is in its registers and its frame, and nowhere else.
[[gnu::noinline, gnu::section("weir_stepped")]] Node* allocate_all(weir_mutator* mutator,
                                                                   const Plan& plan) {
  Node* list = nullptr;
  for (std::size_t i = 0; i < kObjects; ++i) {
    auto* node = static_cast<Node*>(weir_allocate(mutator, plan.kind[i], plan.size[i]));
    if (node == nullptr) return nullptr;
    if (!plan.is_kept[i]) continue;
    node->next = list;
    if (plan.size[i] > sizeof(Node*)) node->number = pattern(i);
    list = node;
  }
  return list;
}

// NOLINTBEGIN(readability-identifier-naming): the linker's names
extern "C" const char __start_weir_stepped[];
extern "C" const char __stop_weir_stepped[];
// NOLINTEND(readability-identifier-naming)

bool is_stepped_code(std::uintptr_t address) {
  return address - reinterpret_cast<std::uintptr_t>(__start_weir_stepped) <
         static_cast<std::uintptr_t>(__stop_weir_stepped - __start_weir_stepped);
}

// ---- The process that is traced -----------------------------------------------------------------

Plan make_plan(weir_heap* heap, std::uint64_t seed) {
  weir_kind_config config{};
  config.name = "node";
  config.tracing = WEIR_TRACE_BITMAP;
  const std::uint64_t bits[16] = {1};  // beyond any of them, so that it does not repeat
  config.bitmap = bits;
  config.bitmap_words = 1024;
  weir_kind node = 0;
  REQUIRE(weir_kind_define(heap, &config, &node) == WEIR_OK);
  Random random(seed);
  Plan plan{};
  for (std::size_t i = 0; i < kObjects; ++i) {
    const weir_kind kinds[] = {WEIR_KIND_SLOTS, WEIR_KIND_CONSERVATIVE, node, WEIR_KIND_LEAF};
    plan.kind[i] = kinds[random() % 4];
    plan.size[i] = random() % 4 == 0 ? 16 : 17 + random() % 100;
    plan.is_kept[i] = plan.kind[i] != WEIR_KIND_LEAF && random() % 3 != 0;
  }
  return plan;
}

// Blocks with holes, so that spans are what others left.
void make_holes(weir_mutator* mutator, weir_heap* heap, std::vector<void*>& kept) {
  for (int i = 0; i < 6000; ++i) {
    void* object = weir_allocate(mutator, i % 2 != 0 ? WEIR_KIND_SLOTS : WEIR_KIND_LEAF, 96);
    std::memset(object, 0, 96);
    if (i % 12 < 2) {
      REQUIRE(weir_pin(heap, object, 1) == WEIR_OK);
      kept.push_back(object);
    }
  }
  collect(mutator);
}

std::string check_list(const Node* list, const Plan& plan) {
  const Node* node = list;
  for (std::size_t i = kObjects; i-- > 0;) {
    if (!plan.is_kept[i]) continue;
    const std::string which = "object " + std::to_string(i);
    if (node == nullptr) return which + " is missing";
    const auto* words = reinterpret_cast<const std::uint64_t*>(node);
    if (plan.size[i] > sizeof(Node*) && node->number != pattern(i))
      return which + " has another's contents";
    for (std::size_t word = 2; word < (plan.size[i] + 15) / 16 * 2; ++word)
      if (words[word] != 0) return which + " was not zeros";
    node = node->next;
  }
  return node == nullptr ? "" : "the list is too long";
}

void collect_when_asked(weir_heap* heap, Shared& shared) {
  const TestMutator mutator(heap, kPrecise);
  for (std::uint32_t seen = 0;;) {
    weir_enter_blocking(mutator);
    while (shared.wanted.load() == seen && shared.is_ending.load() == 0) ::usleep(20);
    weir_leave_blocking(mutator);
    if (shared.is_ending.load() != 0) return;
    seen = shared.wanted.load();
    collect(mutator);
    shared.done.store(seen);
  }
}

int be_traced(Shared& shared, std::uint64_t seed, bool has_holes) {
  weir_config config = small_heap();
  config.verify = true;
  config.markers = 1;
  const TestHeap heap(config);
  const TestMutator mutator(heap, kBySignal);
  const Plan plan = make_plan(heap, seed);
  std::vector<void*> kept;
  if (has_holes) make_holes(mutator, heap, kept);
  std::thread collecting(collect_when_asked, static_cast<weir_heap*>(heap), std::ref(shared));
  // Both spans are there before the steps.
  (void)weir_allocate(mutator, WEIR_KIND_SLOTS, 16);
  (void)weir_allocate(mutator, WEIR_KIND_LEAF, 16);
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::raise(SIGSTOP);
  Node* list = allocate_all(mutator, plan);
  ::raise(SIGSTOP);
  std::string wrong = check_list(list, plan);
  shared.is_ending.store(1);
  weir_enter_blocking(mutator);
  collecting.join();
  weir_leave_blocking(mutator);
  collect(mutator);
  if (wrong.empty()) wrong = check_list(list, plan);
  std::snprintf(shared.what_failed, sizeof shared.what_failed, "%s", wrong.c_str());
  return wrong.empty() ? 0 : 1;
}

// ---- The tracer ---------------------------------------------------------------------------------

class Stepper {
 public:
  Stepper(pid_t child, Shared& shared) : child_(child), shared_(shared) {}

  std::size_t collections() const { return collections_; }
  int exit_status() const { return status_; }

  void run() {
    REQUIRE(wait_for_stop(SIGSTOP));
    ::ptrace(PTRACE_SETOPTIONS, child_, nullptr, static_cast<long>(PTRACE_O_EXITKILL));
    while (!is_stepped_code(pc())) {
      step(0);
      REQUIRE(wait_for_stop(SIGTRAP));
    }
    // Until it returns. What it calls is run through.
    for (;;) {
      if (is_stepped_code(pc())) {
        REQUIRE(collect_here());
        step(0);
        REQUIRE(wait_for_stop(SIGTRAP));
      } else {
        const std::uintptr_t back = peek(registers().rsp);
        if (!is_stepped_code(back)) return;
        REQUIRE(run_to(back));
      }
    }
  }

  void finish() {
    ::ptrace(PTRACE_CONT, child_, nullptr, nullptr);
    while (::waitpid(child_, &status_, 0) == child_ && WIFSTOPPED(status_))
      ::ptrace(PTRACE_CONT, child_, nullptr,
               static_cast<long>(WSTOPSIG(status_) == SIGSTOP ? 0 : WSTOPSIG(status_)));
  }

 private:
  user_regs_struct registers() const {
    user_regs_struct regs{};
    REQUIRE(::ptrace(PTRACE_GETREGS, child_, nullptr, &regs) == 0);
    return regs;
  }
  std::uintptr_t pc() const { return registers().rip; }
  std::uintptr_t peek(std::uintptr_t address) const {
    return static_cast<std::uintptr_t>(::ptrace(PTRACE_PEEKTEXT, child_, address, nullptr));
  }
  void step(int signal) {
    REQUIRE(::ptrace(PTRACE_SINGLESTEP, child_, nullptr, static_cast<long>(signal)) == 0);
  }
  // False: it stopped for something else, or ended.
  bool wait_for_stop(int signal) {
    REQUIRE(::waitpid(child_, &status_, 0) == child_);
    return WIFSTOPPED(status_) && WSTOPSIG(status_) == signal;
  }
  bool has_pending(int signal) const {
    const std::string path = "/proc/" + std::to_string(child_) + "/status";
    std::FILE* file = std::fopen(path.c_str(), "r");
    REQUIRE(file != nullptr);
    char line[256];
    unsigned long long pending = 0;
    while (std::fgets(line, sizeof line, file) != nullptr)
      if (std::sscanf(line, "SigPnd: %llx", &pending) == 1) break;
    std::fclose(file);
    return (pending >> (signal - 1) & 1) != 0;
  }

  // Runs on until `address`, by a breakpoint that only the traced thread can hit. Signals go to it.
  bool run_to(std::uintptr_t address) {
    const std::uintptr_t word = peek(address);
    REQUIRE(::ptrace(PTRACE_POKETEXT, child_, address, (word & ~std::uintptr_t{0xff}) | 0xcc) == 0);
    for (int signal = 0;; signal = WSTOPSIG(status_)) {
      ::ptrace(PTRACE_CONT, child_, nullptr, static_cast<long>(signal));
      if (wait_for_stop(SIGTRAP)) break;
      if (!WIFSTOPPED(status_) || WSTOPSIG(status_) == SIGSTOP) return false;
    }
    REQUIRE(::ptrace(PTRACE_POKETEXT, child_, address, word) == 0);
    user_regs_struct regs = registers();
    REQUIRE(regs.rip == address + 1);
    regs.rip = address;
    REQUIRE(::ptrace(PTRACE_SETREGS, child_, nullptr, &regs) == 0);
    return true;
  }

  // The thread that collects sends the stop signal; the stepped one gets it before its next
  // instruction, waits in the handler, and returns to that instruction.
  bool collect_here() {
    const int stop_signal = SIGRTMIN + 5;
    const std::uintptr_t here = pc();
    const std::uint32_t number = shared_.wanted.fetch_add(1) + 1;
    while (!has_pending(stop_signal)) {
      if (shared_.done.load() == number) return false;  // without having stopped it
      ::usleep(10);
    }
    step(0);
    if (!wait_for_stop(stop_signal) || pc() != here) return false;
    step(stop_signal);
    if (!wait_for_stop(SIGTRAP) || !run_to(here)) return false;
    while (shared_.done.load() != number) ::usleep(10);
    ++collections_;
    return true;
  }

  pid_t child_;
  Shared& shared_;
  std::size_t collections_ = 0;
  int status_ = 0;
};

void step_through(std::uint64_t seed, bool has_holes) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  auto& shared = *static_cast<Shared*>(memory);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(300);
    ::_exit(be_traced(shared, seed, has_holes));
  }
  Stepper stepper(child, shared);
  stepper.run();
  stepper.finish();
  CHECK_MESSAGE(WIFEXITED(stepper.exit_status()), "status ", stepper.exit_status());
  CHECK(WEXITSTATUS(stepper.exit_status()) == 0);
  CHECK(std::string(shared.what_failed) == "");
  MESSAGE("collections: ", stepper.collections());
  CHECK(stepper.collections() > 10 * kObjects);
  ::munmap(memory, sizeof(Shared));
}

}  // namespace

TEST_CASE("a collection at every instruction of the inline allocation leaves the heap right") {
  const std::uint64_t seed = seed_for("fast path, stepped");
  for (std::size_t round = 0; round < (tier() <= Tier::quick ? 1 : scaled(3)); ++round)
    for (const bool has_holes : {false, true}) {
      CAPTURE(round);
      CAPTURE(has_holes);
      step_through(seed + round, has_holes);
    }
}

#else

TEST_CASE("a collection at every instruction of the inline allocation" * doctest::skip()) {}

#endif
