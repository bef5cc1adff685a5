// The gate between answers and changes of what is answered: forks meet no half-given answer, forks
// that nobody announced are noticed, and every thread gets its signal mask back.
#include "runtime/os/fault_gate.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/os/child.hpp"
#include "tests/os/rig.hpp"
#include "tests/support/random.hpp"

namespace weir {
namespace {

using namespace test;
using os::FaultGate;

bool is_blocked(int signal) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return ::sigismember(&mask, signal) == 1;
}

struct Participant final : os::ForkParticipant {
  explicit Participant(std::vector<int>* order = nullptr, int number = 0)
      : order_(order), number_(number) {
    FaultGate::enlist(*this);
  }
  ~Participant() override { FaultGate::delist(*this); }
  void after_fork_in_child() noexcept override {
    ++calls;
    signals_were_blocked = is_blocked(SIGALRM);
    if (order_ != nullptr) order_->push_back(number_);
  }
  int calls = 0;
  bool signals_were_blocked = false;

 private:
  std::vector<int>* order_;
  int number_;
};

TEST_CASE("holders block all signals, and get their mask back") {
  for (const bool before : {false, true}) {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGUSR1);
    ::pthread_sigmask(before ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
    {
      const FaultGate::Operating gate;
      CHECK(is_blocked(SIGUSR1));
      CHECK(is_blocked(SIGSEGV));
    }
    CHECK(is_blocked(SIGUSR1) == before);
    {
      FaultGate::Changing change;
      CHECK(is_blocked(SIGALRM));
      change.commit();
      change.end_commit();
      CHECK(is_blocked(SIGALRM));
    }
    CHECK(is_blocked(SIGUSR1) == before);
    const auto child = in_child([&](auto) { return is_blocked(SIGUSR1) == before ? 0 : 1; });
    CHECK(child.exit_code == 0);           // in the child of a fork,
    CHECK(is_blocked(SIGUSR1) == before);  // and in its parent
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  }
  CHECK(!is_blocked(SIGALRM));
}

TEST_CASE("participants are told in a forked child, in order, and not when they left") {
  std::vector<int> order;
  Participant first(&order, 1), second(&order, 2);
  { Participant gone(&order, 3); }
  const auto child = in_child([&](auto) {
    const bool blocked = first.signals_were_blocked && second.signals_were_blocked;
    return order == std::vector<int>{1, 2} && blocked ? 0 : 1;
  });
  CHECK(child.exit_code == 0);
  CHECK(order.empty());
  const auto grandchild = in_child(
      [&](auto) { return in_child([&](auto) { return first.calls == 2 ? 0 : 1; }).exit_code; });
  CHECK(grandchild.exit_code == 0);
}

TEST_CASE("a change excludes answers, an answer excludes changes") {
  const std::uint64_t seed = seed_for("fault_gate: exclusion");
  std::uint64_t a = 0, b = 0;
  std::atomic<std::size_t> torn{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        Random random(seed + t);
        for (std::size_t i = 0; i < scaled(5'000); ++i) {
          if (random() % 8 == 0) {
            FaultGate::Changing change;
            change.commit();
            ++a;
            ++b;
          } else {
            const FaultGate::Operating gate;
            if (a != b) torn.fetch_add(1);
          }
        }
      });
    }
  }
  CHECK(torn.load() == 0);
  CHECK(a == b);
}

TEST_CASE("a fork never finds an answer half given, and its child can go on") {
  std::atomic<bool> stop{false};
  // Differ only in the middle of an answer.
  std::atomic<std::uint64_t> begun[3] = {}, ended[3] = {};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      while (!stop.load()) {
        {
          const FaultGate::Operating gate;
          begun[t].fetch_add(1);
          ::sched_yield();
          ended[t].fetch_add(1);
        }
        if (t == 0) {
          FaultGate::Changing change;
          change.commit();
        }
      }
    });
  }
  for (std::size_t i = 0; i < scaled(200); ++i) {
    const auto child = in_child([&](auto) {
      for (int t = 0; t < 3; ++t)
        if (begun[t].load() != ended[t].load()) return 1;
      FaultGate::Changing change;  // the lock is free here
      change.commit();
      return 0;
    });
    REQUIRE(child.exit_code == 0);
  }
  stop = true;
}

// What a child of a raw fork system call, which runs no pthread_atfork handlers, says and dies of.
template <class Act>
std::pair<int, std::string> in_unnoticed_child(Act act) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child =
      static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) {
    ::alarm(30);
    std::signal(SIGABRT, SIG_DFL);
    ::dup2(ends[1], STDERR_FILENO);
    act();
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said;
  char piece[256];
  for (ssize_t got; (got = ::read(ends[0], piece, sizeof piece)) > 0;)
    said.append(piece, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return {status, said};
}

TEST_CASE("an unnoticed fork stops with a sentence as soon as it operates, whatever was locked") {
  { const FaultGate::Operating gate; }  // works here
  const auto expect_stop = [](const std::pair<int, std::string>& child) {
    CHECK(WIFSIGNALED(child.first));
    CHECK(WTERMSIG(child.first) == SIGABRT);
    CHECK_MESSAGE(child.second.find("forked behind its back") != std::string::npos, child.second);
  };
  expect_stop(in_unnoticed_child([] { const FaultGate::Operating gate; }));
  expect_stop(in_unnoticed_child([] { FaultGate::Changing change; }));
  {
    // The child's copy of the lock is held, by a thread that it does not have.
    FaultGate::Changing change;
    change.commit();
    const auto child = in_unnoticed_child([] { const FaultGate::Operating gate; });
    change.end_commit();
    expect_stop(child);
  }
  const auto harmless = in_unnoticed_child([] {});  // that does nothing with us may go on
  CHECK(WIFEXITED(harmless.first));
  const auto noticed = in_child([&](auto) {  // and fork(3) is another matter
    const FaultGate::Operating gate;
    return 0;
  });
  CHECK(noticed.exit_code == 0);
}

}  // namespace
}  // namespace weir
