#include "runtime/threads/stop_signal.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "runtime/os/environment.hpp"
#include "runtime/threads/host_thread.hpp"

namespace weir::threads {
namespace {

std::atomic<int> installed{0};  // the signal's number; 0: not yet

Expected<int> chosen() {
  const auto given = os::environment(os::Variable::stop_signal);
  if (!given) return Unexpected(given.error());
  if (!*given) return SIGRTMIN + 5;
  int number = 0;
  const std::string_view text = **given;
  std::from_chars(text.data(), text.data() + text.size(), number);
  if (number >= SIGRTMIN && number <= SIGRTMAX) return number;
  return fail(ErrorCode::invalid_argument, "choosing the signal that stops threads",
              "WEIR_STOP_SIGNAL is no real-time signal", {},
              "kill -l lists them with their numbers");
}

void on_stop_signal(int, siginfo_t*, void* context) {
  const int saved_errno = errno;
  HostThread::current().on_stop_signal(context);
  errno = saved_errno;
}

Expected<> install_handler(int number) {
  constexpr const char* kWhat = "installing the handler of the signal that stops threads";
  struct sigaction current = {};
  if (::sigaction(number, nullptr, &current) != 0) return system_error(errno, kWhat);
  if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == on_stop_signal) return {};
  if ((current.sa_flags & SA_SIGINFO) != 0 ||
      (current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN))
    return fail(ErrorCode::busy, kWhat, "the program handles that signal itself", {},
                "Set WEIR_STOP_SIGNAL to the number of a free real-time signal");
  struct sigaction action = {};
  action.sa_sigaction = on_stop_signal;
  // A thread that is stopped runs no handler of the program's, which might touch the heap.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigfillset(&action.sa_mask);
  if (::sigaction(number, &action, nullptr) != 0) return system_error(errno, kWhat);
  return {};
}

}  // namespace

// Several threads may do it at a time: all do the same. A lock might be held at a fork.
Expected<> StopSignal::install() {
  int number = installed.load();
  if (number == 0) {
    const auto choice = chosen();
    if (!choice) return Unexpected(choice.error());
    number = *choice;
  }
  if (auto done = install_handler(number); !done) return done;
  installed.store(number);
  return {};
}

void StopSignal::unblock() {
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, installed.load());
  ::pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
}

int StopSignal::send(pid_t thread) {
  return ::tgkill(::getpid(), thread, installed.load()) == 0 ? 0 : errno;
}

}  // namespace weir::threads
