// A reference that is in a register, and nowhere else, is found in each way to stand still.
#if defined(__x86_64__)
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

// Made from its complement inside the assembly, and wiped at its end, so that no compiler puts it
// anywhere else.
constexpr std::uintptr_t kSecret = 0x5ec2e75ec2e700;

using Act = void (*)(Mutator*);
struct Holding {  // its layout is known to the assembly
  Mutator* mutator;
  Act first;
  Act second;
  volatile std::uintptr_t disguised = ~kSecret;
  std::atomic<std::uint32_t> may_go_on{0};
  std::atomic<std::uint32_t> is_held{0};
};
static_assert(offsetof(Holding, may_go_on) == 32 && offsetof(Holding, is_held) == 36);
using Hold = void (*)(Holding*);

// Calls `first` and `second` with the secret in a callee-saved register. In between, whatever lies
// below the stack pointer is overwritten, as the code of a blocking region does, and it waits.
// NOLINTBEGIN(bugprone-macro-parentheses): a clobber may have none
#define WEIR_HOLD_IN(hold, mutator, args, stack)                                                  \
  [](Holding* holding) {                                                                          \
    asm volatile("movq %%rdi, %%" args "\n movq 0(%%" args "), %%" mutator "\n movq 24(%%" args   \
                 "), %%" hold "\n notq %%" hold "\n movq %%rsp, %%" stack                         \
                 "\n subq $256, %%rsp\n andq $-64, %%rsp"                                         \
                 "\n movq %%" mutator ", %%rdi\n call *8(%%" args                                 \
                 ")"                                                                              \
                 "\n movq %%rsp, %%rax\n movl $512, %%ecx"                                        \
                 "\n 1: subq $8, %%rax\n movq $0, (%%rax)\n decl %%ecx\n jnz 1b"                  \
                 "\n movl $1, 36(%%" args                                                         \
                 ")"                                                                              \
                 "\n 2: pause\n cmpl $0, 32(%%" args                                              \
                 ")\n je 2b"                                                                      \
                 "\n movq %%" mutator ", %%rdi\n call *16(%%" args                                \
                 ")"                                                                              \
                 "\n movq %%" stack ", %%rsp\n xorq %%" hold ", %%" hold                          \
                 : "+D"(holding)                                                                  \
                 :                                                                                \
                 : hold, mutator, args, stack, "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10",     \
                   "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc"); \
  }
// NOLINTEND(bugprone-macro-parentheses)

constexpr Hold kCalleeSaved[] = {
    WEIR_HOLD_IN("rbx", "r12", "r13", "r14"), WEIR_HOLD_IN("r12", "rbx", "r13", "r14"),
    WEIR_HOLD_IN("r13", "r12", "rbx", "r14"), WEIR_HOLD_IN("r14", "r12", "r13", "r15"),
    WEIR_HOLD_IN("r15", "r12", "r13", "rbx")};

// Only spins. A signal finds it there.
#define WEIR_SPIN_WITH(hold, unhold, ...)                             \
  [](Holding* holding) {                                              \
    asm volatile("movq 24(%%rdi), %%rax\n notq %%rax\n " hold         \
                 "\n movl $1, 36(%%rdi)"                              \
                 "\n 2: pause\n cmpl $0, 32(%%rdi)\n je 2b\n " unhold \
                 : "+D"(holding)                                      \
                 :                                                    \
                 : __VA_ARGS__, "rax", "memory", "cc");               \
  }
#define WEIR_SPIN_IN(reg) \
  WEIR_SPIN_WITH("movq %%rax, %%" reg "\n xorl %%eax, %%eax", "xorq %%" reg ", %%" reg, reg)
#define WEIR_SPIN_IN_VECTOR(reg) \
  WEIR_SPIN_WITH("movq %%rax, %%" reg "\n xorl %%eax, %%eax", "pxor %%" reg ", %%" reg, reg)

constexpr Hold kAnyRegister[] = {
    WEIR_SPIN_WITH("nop", "xorl %%eax, %%eax", "rcx"),
    WEIR_SPIN_IN("rbx"),
    WEIR_SPIN_IN("rcx"),
    WEIR_SPIN_IN("rdx"),
    WEIR_SPIN_IN("rsi"),
    WEIR_SPIN_IN("r8"),
    WEIR_SPIN_IN("r9"),
    WEIR_SPIN_IN("r10"),
    WEIR_SPIN_IN("r11"),
    WEIR_SPIN_IN("r12"),
    WEIR_SPIN_IN("r13"),
    WEIR_SPIN_IN("r14"),
    WEIR_SPIN_IN("r15"),
    WEIR_SPIN_IN_VECTOR("xmm0"),
    WEIR_SPIN_IN_VECTOR("xmm15"),
    // In the red zone.
    WEIR_SPIN_WITH("movq %%rax, -128(%%rsp)\n xorl %%eax, %%eax", "movq $0, -128(%%rsp)", "rcx"),
};
// The upper half of a vector register, the lower one being zero.
constexpr Hold kUpperHalf = WEIR_SPIN_WITH(
    "vmovq %%rax, %%xmm7\n xorl %%eax, %%eax\n vpxor %%xmm8, %%xmm8, %%xmm8"
    "\n vinsertf128 $1, %%xmm7, %%ymm8, %%ymm8\n vpxor %%xmm7, %%xmm7, %%xmm7",
    "vzeroupper\n pxor %%xmm8, %%xmm8", "xmm7", "xmm8");

void nothing(Mutator*) {}
void poll_when_asked(Mutator* mutator) {
  while (!mutator->is_asked()) std::this_thread::yield();
  while (mutator->is_asked()) mutator->poll();
}
void leave_runtime_when_asked(Mutator* mutator) {
  const MutatorThread::Runtime runtime(*mutator);
  while (!mutator->is_asked()) std::this_thread::yield();
  ::raise(SIGRTMIN + 5);  // the world's own signal may be still under way
}
void enter_blocking(Mutator* mutator) {
  mutator->enter_blocking();
}
void leave_blocking(Mutator* mutator) {
  mutator->leave_blocking();
}

// Whether a stop finds the secret that a thread holds, which stands as `expected`.
bool is_found(StopMode mode, Hold hold, Act first, Act second, MutatorState expected) {
  World world;
  Holding holding{nullptr, first, second};
  holding.may_go_on = expected == MutatorState::stopped_at_poll;
  std::jthread thread([&] {
    Mutator mutator(world, mode);
    holding.mutator = &mutator;
    hold(&holding);
    world.detach(mutator);
  });
  while (holding.is_held.load() == 0) std::this_thread::yield();
  bool found = false;
  with_stopped(world, [&] {
    world.for_each([&](MutatorThread& m) {
      CHECK(m.state() == expected);
      CHECK_FALSE(holds(m, kSecret + 1));
      found = holds(m, kSecret);
    });
  });
  holding.may_go_on = 1;
  return found;
}

TEST_CASE("at a poll") {
  for (const Hold hold : kCalleeSaved)
    CHECK(is_found(StopMode::poll, hold, nothing, poll_when_asked, MutatorState::stopped_at_poll));
}

TEST_CASE("when the runtime is left") {
  for (const Hold hold : kCalleeSaved)
    CHECK(is_found(StopMode::signal, hold, nothing, leave_runtime_when_asked,
                   MutatorState::stopped_at_poll));
}

TEST_CASE("in a blocking region, whose entering frames are overwritten") {
  for (const StopMode mode : kModes)
    for (const Hold hold : kCalleeSaved)
      CHECK(is_found(mode, hold, enter_blocking, leave_blocking, MutatorState::blocked));
}

TEST_CASE("while the thread stops the world itself") {
  World world;
  static World* stopped;
  static bool found;
  stopped = &world;
  const Act stop = [](Mutator* mutator) {
    with_stopped(*stopped, [&] { found = holds(*mutator, kSecret); });
  };
  for (const StopMode mode : kModes) {
    for (const Hold hold : kCalleeSaved) {
      Mutator mutator(world, mode);
      Holding holding{&mutator, stop, nothing};
      holding.may_go_on = 1;
      hold(&holding);
      CHECK(found);
      world.detach(mutator);
    }
  }
}

#ifndef __SANITIZE_THREAD__  // it holds signals back until the program calls something
TEST_CASE("wherever a signal stops it") {
  for (const Hold hold : kAnyRegister)
    CHECK(is_found(StopMode::signal, hold, nothing, nothing, MutatorState::stopped_by_signal));
  if (__builtin_cpu_supports("avx"))
    CHECK(
        is_found(StopMode::signal, kUpperHalf, nothing, nothing, MutatorState::stopped_by_signal));
}

TEST_CASE("inside a handler that runs on the signal stack, and the code that it interrupted") {
  static Holding* in_handler;
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {
    while (in_handler->is_held.exchange(1), in_handler->may_go_on.load() == 0) {
    }
  };
  action.sa_flags = SA_ONSTACK;
  ::sigaction(SIGUSR2, &action, &before);
  for (const bool on_stack : {false, true}) {
    World world;
    Holding holding{nullptr, nothing, nothing};
    in_handler = &holding;
    std::jthread thread([&] {
      Mutator mutator(world, StopMode::signal);
      const volatile std::uintptr_t secret = on_stack ? ~holding.disguised : 0;
      ::raise(SIGUSR2);
      CHECK(secret == (on_stack ? kSecret : 0));
      world.detach(mutator);
    });
    while (holding.is_held.load() == 0) std::this_thread::yield();
    with_stopped(world, [&] {
      world.for_each([&](MutatorThread& m) {
        CHECK(m.stopped_by_signal());
        CHECK(holds(m, kSecret) == on_stack);
      });
    });
    holding.may_go_on = 1;
  }
  ::sigaction(SIGUSR2, &before, nullptr);
}
#endif

TEST_CASE("a thread that is not conservative holds nothing") {
  World world;
  Mutator mutator;
  ThreadOptions options;
  options.conservative_stack = false;
  REQUIRE(world.attach(mutator, options).has_value());
  with_stopped(
      world, [&] { mutator.for_each_conservative_range([](Range) { FAIL("a range to scan"); }); });
  world.detach(mutator);
}

TEST_CASE("nothing above the stack base that was given is scanned, and one below is refused") {
  volatile std::uintptr_t outer = kSecret;
  const auto inner = [](std::uintptr_t base, const volatile std::uintptr_t* secret) {
    volatile std::uintptr_t mine = *secret + 1;
    World world;
    Mutator mutator;
    ThreadOptions options;
    options.stack_base = Address(&mine) - (64 << 10);
    CHECK(world.attach(mutator, options).error().code == ErrorCode::invalid_argument);
    options.stack_base = Address(base);
    REQUIRE(world.attach(mutator, options).has_value());
    with_stopped(world, [&] {
      CHECK(holds(mutator, kSecret + 1));
      mutator.for_each_conservative_range([&](Range range) {
        if (range.contains(Address(&mine))) CHECK(range.end() <= Address(base));
      });
    });
    world.detach(mutator);
    return mine;
  };
  std::uintptr_t (*volatile call)(std::uintptr_t, const volatile std::uintptr_t*) = inner;
  const Address base = Address(__builtin_frame_address(0));
  CHECK(call(base.value(), &outer) == kSecret + 1);
}

}  // namespace
}  // namespace weir
#endif
