// Stacks of fibers: scanned from where they were left, wherever a stop finds the thread.
#include <ucontext.h>

#include <functional>
#include <memory>
#include <vector>

#include "runtime/os/mapping.hpp"
#include "tests/support/random.hpp"
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

constexpr std::uintptr_t kSecret = 0xf1be'0000'0000;

TEST_CASE("a stack that never ran is scanned whole; misuse is refused") {
  World world;
  Mutator mutator(world, StopMode::poll);
  auto memory = os::Mapping::anonymous(64 << 10).value();
  threads::Stack* stack = mutator.register_stack(memory.range()).value();
  for (const std::size_t word : {std::size_t{0}, memory.size() / sizeof(std::uintptr_t) - 1}) {
    memory.as<volatile std::uintptr_t>()[word] = kSecret + word;
    CHECK(others_find(world, mutator, ~kSecret - word));
  }
  CHECK(mutator.register_stack(memory.range()).error().code == ErrorCode::busy);
  CHECK(mutator.register_stack({}).error().code == ErrorCode::invalid_argument);
  CHECK(mutator.register_stack({memory.range().begin + 1, 4096}).error().code ==
        ErrorCode::invalid_argument);
  REQUIRE(mutator.unregister_stack(stack).has_value());
  CHECK(mutator.unregister_stack(stack).error().code == ErrorCode::not_registered);
  CHECK_FALSE(others_find(world, mutator, ~kSecret));
  world.detach(mutator);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// Sanitizers want to be told of each switch in their own words.

struct Fibers;

struct Fiber {
  Fibers* all = nullptr;
  std::uintptr_t disguised = 0;  // the complement of what its stack holds
  os::Mapping memory;
  threads::Stack* stack = nullptr;
  ucontext_t context;
};

struct Fibers {
  static constexpr std::size_t kStack = 64 << 10;
  World world;
  Mutator mutator;
  ucontext_t main;
  std::vector<std::unique_ptr<Fiber>> fibers;
  Fiber* on = nullptr;  // nullptr: the thread's own stack
  std::atomic<bool> is_over{false};
  std::function<void()> visit = [] {};  // called on the fibers

  void switch_to(Fiber* to) {
    ucontext_t& from = on != nullptr ? on->context : main;
    on = to;
    mutator.switch_stack(to != nullptr ? to->stack : nullptr, &from, sizeof from);
    ::swapcontext(&from, to != nullptr ? &to->context : &main);
  }

  static void body(unsigned low, unsigned high) {
    auto& self = *reinterpret_cast<Fiber*>(std::uintptr_t{high} << 32 | low);
    volatile std::uintptr_t secret = ~self.disguised;
    while (true) {
      REQUIRE(secret == ~self.disguised);
      self.all->mutator.poll();
      self.all->visit();
      self.all->switch_to(nullptr);
    }
  }

  Fiber& add(std::uintptr_t disguised) {
    auto fiber = std::make_unique<Fiber>();
    fiber->all = this;
    fiber->disguised = disguised;
    fiber->memory = std::move(os::Mapping::anonymous(kStack).value());
    fiber->stack = mutator.register_stack(fiber->memory.range()).value();
    ::getcontext(&fiber->context);
    fiber->context.uc_stack = {fiber->memory.as(), 0, kStack};
    const auto self = reinterpret_cast<std::uintptr_t>(fiber.get());
    ::makecontext(&fiber->context, reinterpret_cast<void (*)()>(body), 2,
                  static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
    fibers.push_back(std::move(fiber));
    return *fibers.back();
  }
};

TEST_CASE("each fiber's stack is scanned, running or left, until it is unregistered") {
  Fibers f;
  f.mutator.attach(f.world, StopMode::poll);
  for (std::uintptr_t i = 0; i < 5; ++i) f.add(~kSecret - i);
  for (std::size_t i = 0; i < 4; ++i) f.switch_to(f.fibers[i].get());
  for (std::uintptr_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(others_find(f.world, f.mutator, ~kSecret - i) == (i < 4));
  }
  // What is below the place where one was left is not in use.
  *f.fibers[0]->memory.as<std::uintptr_t>() = kSecret + 101;
  CHECK_FALSE(others_find(f.world, f.mutator, ~kSecret - 101));

  REQUIRE(f.mutator.unregister_stack(f.fibers[0]->stack).has_value());
  bool is_scanned = false;  // whatever it has; its secret may be left over elsewhere
  with_stopped(f.world, [&] {
    f.mutator.for_each_conservative_range([&](Range range) {
      is_scanned = is_scanned || range.overlaps(f.fibers[0]->memory.range());
    });
  });
  CHECK_FALSE(is_scanned);
  f.world.detach(f.mutator);
}

TEST_CASE("registers that a switch saves elsewhere are scanned while the stack is left") {
  Fibers f;
  f.mutator.attach(f.world, StopMode::poll);
  Fiber& fiber = f.add(~kSecret);
  auto saved = std::make_unique<std::uintptr_t[]>(4);
  saved[3] = kSecret + 7;
  const auto finds = [&] { return others_find(f.world, f.mutator, ~kSecret - 7); };
  bool found_there = false;
  f.visit = [&] {
    found_there = finds();
    CHECK(f.mutator.unregister_stack(fiber.stack).error().code == ErrorCode::busy);
  };
  f.on = &fiber;
  f.mutator.switch_stack(fiber.stack, saved.get(), 4 * sizeof saved[0]);
  CHECK_FALSE(finds());  // announced, and not made yet
  ::swapcontext(&f.main, &fiber.context);
  CHECK(found_there);
  CHECK_FALSE(finds());
  f.world.detach(f.mutator);
}

TEST_CASE("random switches under stops by signal: every secret is found each time") {
  const std::uint64_t seed = seed_for("threads/fibers");
  for (const StopMode mode : kModes) {
    Fibers f;
    std::atomic<std::size_t> ready{0};
    constexpr std::size_t kCount = 8;
    std::jthread thread([&] {
      Random random(seed);
      f.mutator.attach(f.world, mode);
      for (std::uintptr_t i = 0; i < kCount; ++i) f.switch_to(&f.add(~kSecret - i));
      ready = 1;
      while (!f.is_over.load()) {
        f.switch_to(f.fibers[random() % kCount].get());
        f.mutator.poll();
      }
      for (auto& fiber : f.fibers) CHECK(f.mutator.unregister_stack(fiber->stack).has_value());
      f.world.detach(f.mutator);
    });
    while (ready.load() == 0) std::this_thread::yield();
    const AlarmStorm alarms(SA_ONSTACK);
    std::size_t lost = 0;
    for (std::size_t i = 0; i < scaled(2000); ++i) {
      with_stopped(f.world, [&] {
        for (std::uintptr_t s = 0; s < kCount; ++s) lost += !holds(f.mutator, kSecret + s);
      });
    }
    f.is_over = true;
    CHECK(lost == 0);
  }
}
#endif

#if defined(__SANITIZE_ADDRESS__)
// In a frame that AddressSanitizer moved to its fake stack, if ASAN_OPTIONS ask for that.
[[gnu::noinline]] bool finds_in_moved_frame(World& world, Mutator& mutator,
                                            std::uintptr_t disguised) {
  std::uintptr_t local[4] = {0, ~disguised, 0, 0};
  asm volatile("" : : "r"(local) : "memory");
  const bool found = others_find(world, mutator, disguised);
  asm volatile("" : : "r"(local) : "memory");
  return found;
}
TEST_CASE("locals in frames that AddressSanitizer moved are found") {
  World world;
  Mutator mutator(world, StopMode::poll);
  CHECK(finds_in_moved_frame(world, mutator, ~std::uintptr_t{0xfa4e'0000'0000}));
  world.detach(mutator);
}
#endif

}  // namespace
}  // namespace weir
