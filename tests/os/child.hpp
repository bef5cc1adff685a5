// A piece of a test in a forked child: another user, a fatal signal, a closed descriptor.
#pragma once

#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

namespace weir::test {

struct ChildResult {
  int exit_code = -1;  // -1: killed by `signal`, or never there
  int signal = 0;
  std::string text;  // what the body returned through `say`, and what killed it
};

// Runs body(say), which returns the exit code, in a child; say(std::string) reaches the parent. The
// child is killed if it hangs.
template <class Body>
ChildResult in_child(Body&& body) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    const std::string why = std::string("fork: ") + std::strerror(errno);
    ::close(ends[0]);
    ::close(ends[1]);
    return {-1, 0, why};
  }
  if (child == 0) {
    ::alarm(60);
    // Not SIGBUS: it may be ours, which the child still needs.
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGABRT, SIG_DFL);
    const auto say = [&](const std::string& text) {
      (void)!::write(ends[1], text.data(), text.size());
    };
    ::_exit(body(say));
  }
  ::close(ends[1]);
  ChildResult result;
  char piece[512];
  for (ssize_t got; (got = ::read(ends[0], piece, sizeof piece)) > 0;)
    result.text.append(piece, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
    result.text += std::string("[killed: ") + ::strsignal(result.signal) + "]";
  }
  return result;
}

inline constexpr uid_t kNobody = 65534;

// Gives up root for good. The process stays dumpable, or /proc/self would be root's.
inline bool become_nobody() {
  return ::setgroups(0, nullptr) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
         ::setresuid(kNobody, kNobody, kNobody) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

}  // namespace weir::test
