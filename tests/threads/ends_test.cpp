// How threads end: attached, in a blocking region, cancelled, in a child of fork(2).
#include <pthread.h>
#include <unistd.h>

#include <vector>

#include "tests/os/child.hpp"
#include "tests/support/random.hpp"
#include "tests/threads/rig.hpp"

namespace weir {
namespace {

using namespace test;

struct Owner final : threads::WorldOwner {
  void on_thread_exit(MutatorThread& thread) noexcept override {
    if (thread.state() == MutatorState::running) ++running;
    if (thread.is_blocking()) ++blocking;
    world->detach(thread);
    delete static_cast<Mutator*>(&thread);
    ++told;
  }
  World* world = nullptr;
  std::atomic<std::size_t> told{0}, running{0}, blocking{0};
};

TEST_CASE("a thread that ends attached gives its mutators to their owner, also during stops") {
  const std::uint64_t seed = seed_for("threads/ends");
  Owner owner;
  World world(&owner);
  owner.world = &world;
  std::atomic<bool> is_over{false};
  std::size_t made = 0;
  {
    std::jthread stopper([&] {
      while (!is_over.load()) {
        with_stopped(world, [&] {
          world.for_each([](MutatorThread& m) { m.for_each_conservative_range([](Range) {}); });
        });
        std::this_thread::yield();
      }
    });
    Random random(seed);
    for (std::size_t i = 0; i < scaled(300); ++i) {
      std::vector<std::jthread> threads;
      for (unsigned t = 0; t < 4; ++t) {
        const unsigned way = random() % 4;
        made += 1 + way / 3;
        threads.emplace_back([&world, way, mode = kModes[random() % 2]] {
          auto* mutator = new Mutator(world, mode);
          if (way == 1) mutator->enter_blocking();
          if (way == 2) {
            mutator->enter_blocking();
            mutator->enter_blocking();
          }
          if (way == 3) new Mutator(world, StopMode::poll);
        });
      }
    }
    is_over = true;
  }
  CHECK(owner.told.load() == made);
  CHECK(owner.running.load() == made);
  CHECK(owner.blocking.load() == 0);
  CHECK(world.size() == 0);
}

#ifndef __SANITIZE_THREAD__  // whose interceptors do not expect to be cancelled
TEST_CASE("without an owner it is detached, cancelled in a blocking system call or not") {
  World world;
  for (const StopMode mode : kModes) {
    Mutator mutator;
    std::atomic<bool> is_in{false};
    std::thread thread([&] {
      mutator.attach(world, mode);
      mutator.enter_blocking();
      is_in = true;
      for (;;) ::pause();
    });
    while (!is_in.load()) std::this_thread::yield();
    with_stopped(world, [&] { CHECK(mutator.state() == MutatorState::blocked); });
    ::pthread_cancel(thread.native_handle());
    thread.join();
    CHECK(mutator.state() == MutatorState::detached);
    CHECK(world.size() == 0);
    mutator.attach(world, mode);  // and may be attached again
    world.detach(mutator);
  }
}
#endif

TEST_CASE("a thread's signal stack and mask are as they were before it attached") {
  std::jthread([] {
    stack_t before = {}, during = {}, after = {};
    ::sigaltstack(nullptr, &before);
    World world;
    {
      Mutator first(world, StopMode::signal), second(world, StopMode::signal);
      ::sigaltstack(nullptr, &during);
      CHECK((during.ss_flags & SS_DISABLE) == 0);
      world.detach(first);
      with_stopped(world, [] {});
      world.detach(second);
    }
    ::sigaltstack(nullptr, &after);
    CHECK(after.ss_sp == before.ss_sp);
    CHECK(after.ss_flags == before.ss_flags);
  }).join();
}

TEST_CASE("late and stray stop signals are harmless, and errno survives") {
  World world;
  const int number = SIGRTMIN + 5;
  Mutator mutator(world, StopMode::signal);
  errno = 1234;
  for (int i = 0; i < 10; ++i) ::raise(number);
  CHECK(errno == 1234);
  mutator.enter_blocking();
  ::raise(number);
  mutator.leave_blocking();
  {
    const MutatorThread::Runtime runtime(mutator);
    ::raise(number);
  }
  world.detach(mutator);
  ::raise(number);
  std::jthread([number] { ::raise(number); }).join();  // that was never attached
}

#ifndef __SANITIZE_THREAD__  // which cannot fork a process with threads
TEST_CASE("the child of a fork has the calling thread only, whatever the others were doing") {
  World world;
  std::atomic<bool> is_over{false};
  std::vector<std::jthread> threads;
  for (const StopMode mode : {StopMode::poll, StopMode::signal, StopMode::signal}) {
    threads.emplace_back([&, mode] {
      while (!is_over.load()) {
        Mutator mutator(world, mode);
        for (int i = 0; i < 100; ++i) mutator.poll();
        if (world.stop()) world.resume();
        world.detach(mutator);
      }
    });
  }
  for (const StopMode mode : kModes) {
    Mutator survivor(world, mode), second(world, StopMode::poll);
    for (std::size_t i = 0; i < scaled(200); ++i) {
      survivor.poll();
      if (i % 3 == 0) second.enter_blocking();
      const auto child = in_child([&](auto) {
        world.after_fork_in_child();
        if (world.size() != 2 || survivor.state() != MutatorState::running) return 1;
        if (i % 3 == 0) second.leave_blocking();
        std::atomic<bool> was_stopped{false};
        std::jthread other([&] {  // everything goes on
          Mutator late(world, StopMode::signal);
          while (!was_stopped.load()) std::this_thread::yield();
          world.detach(late);
        });
        while (world.size() != 3) survivor.poll();
        with_stopped(world, [] {});
        was_stopped = true;
        other.join();
        if (world.size() != 2) return 2;
        world.detach(survivor);
        world.detach(second);
        return 0;
      });
      REQUIRE(child.exit_code == 0);
      if (i % 3 == 0) second.leave_blocking();
    }
    world.detach(survivor);
    world.detach(second);
  }
  is_over = true;
}

TEST_CASE("a fork while this thread has the world stopped leaves it stopped") {
  World world;
  Mutator survivor(world, StopMode::poll);
  std::atomic<bool> is_over{false};
  std::jthread other([&] {
    Mutator mutator(world, StopMode::signal);
    while (!is_over.load()) std::this_thread::yield();
    world.detach(mutator);
  });
  while (world.size() != 2) std::this_thread::yield();
  while (!world.stop()) {
  }
  const auto child = in_child([&](auto) {
    world.after_fork_in_child();
    std::size_t seen = 0;
    world.for_each([&](MutatorThread& m) { seen += &m == &survivor; });
    if (seen != 1 || world.size() != 1) return 1;
    world.resume();
    if (survivor.state() != MutatorState::running) return 2;
    with_stopped(world, [] {});
    world.detach(survivor);
    return 0;
  });
  world.resume();
  CHECK(child.exit_code == 0);
  is_over = true;
  other.join();
  world.detach(survivor);
}

// What ends the process with a sentence.
template <class Body>
void expect_death(const char* sentence, Body body) {
  const auto child = in_child([&](auto say) {
    int ends[2];
    if (::pipe(ends) != 0) return 1;
    if (const pid_t dying = ::fork(); dying == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      body();
      ::_exit(0);
    }
    ::close(ends[1]);
    char text[512];
    for (ssize_t got; (got = ::read(ends[0], text, sizeof text)) > 0;)
      say(std::string(text, static_cast<std::size_t>(got)));
    return 0;
  });
  CHECK_MESSAGE(child.text.find(sentence) != std::string::npos, child.text);
}

TEST_CASE("misuse ends the process with a sentence") {
  World world;
  Mutator mutator;
  expect_death("still attached", [&] { Mutator left(world, StopMode::poll); });
  expect_death("in which it may not be", [&] { world.detach(mutator); });
  expect_death("in which it may not be", [&] {
    mutator.attach(world, StopMode::poll);
    std::jthread([&] { world.detach(mutator); }).join();
  });
  expect_death("never entered", [&] {
    mutator.attach(world, StopMode::poll);
    mutator.leave_blocking();
  });
  expect_death("asked to stop another", [&] { (void)(world.stop() && world.stop()); });
  expect_death("that it had stopped itself", [&] {
    (void)world.stop();
    mutator.attach(world, StopMode::poll);
  });
  expect_death("did not stop it", [&] { world.resume(); });
  expect_death("has mutators attached", [&] {
    World* other = new World;
    mutator.attach(*other, StopMode::poll);
    delete other;
  });
}
#endif

TEST_CASE("a mutator is attached once; a stop signal that the program handles is refused") {
  World world, other;
  Mutator mutator(world, StopMode::poll);
  CHECK(other.attach(mutator, {}).error().code == ErrorCode::busy);
  world.detach(mutator);
#ifndef __SANITIZE_THREAD__
  const auto child = in_child([&](auto say) {
    std::signal(SIGRTMIN + 5, [](int) {});
    ThreadOptions options;
    options.stop = StopMode::signal;
    const auto done = world.attach(mutator, options);
    say(done ? "" : done.error().message());
    return world.size() == 0 ? 0 : 1;
  });
  CHECK(child.exit_code == 0);
  CHECK_MESSAGE(child.text.find("WEIR_STOP_SIGNAL") != std::string::npos, child.text);
#endif
}

}  // namespace
}  // namespace weir
