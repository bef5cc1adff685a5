// What a program, or what is around it, does to a process that has a heap: closes all descriptors,
// forbids system calls, takes /proc away. Each in a child of its own, whose end is either right or
// comes with a sentence.
#pragma once

#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/os/child.hpp"

namespace weir::test {

struct Ending {
  enum Kind { right, with_a_sentence, killed, not_here, wrong } kind = wrong;
  std::string said;  // to stderr
};

inline const char* name_of(Ending::Kind kind) {
  constexpr const char* kNames[] = {"right", "with a sentence", "killed", "not here", "wrong"};
  return kNames[kind];
}

inline constexpr int kNotHere = 77;  // what a child returns that could not do what it was to

// Runs body(), which returns 0 if all was right, in a child. Wrong: anything else that it returns,
// that it throws (a REQUIRE), a hang, and an end by a signal without a sentence.
template <class Body>
Ending ending_of(Body&& body) {
  const int file = ::memfd_create("stderr", MFD_CLOEXEC);
  REQUIRE(file >= 0);
  const ChildResult child = in_child([&](const auto&) {
    ::dup2(file, STDERR_FILENO);
    try {
      return body();
    } catch (...) {
      return 99;
    }
  });
  Ending ending;
  char text[2048];
  const ssize_t length = ::pread(file, text, sizeof text, 0);
  ::close(file);
  ending.said.assign(text, static_cast<std::size_t>(length > 0 ? length : 0));
  if (ending.said.ends_with('\n')) ending.said.pop_back();
  if (child.exit_code == 0)
    ending.kind = Ending::right;
  else if (child.exit_code == kNotHere)
    ending.kind = Ending::not_here;
  else if (child.signal == SIGABRT && ending.said.find("weir: ") != std::string::npos)
    ending.kind = Ending::with_a_sentence;
  else if (child.signal == SIGSYS)
    ending.kind = Ending::killed;
  else
    ending.said += " [exit " + std::to_string(child.exit_code) + "] " + child.text;
  return ending;
}

// From now on each of `calls` does `action`, in all threads of the process. False: not to be had.
inline bool forbid(const std::vector<long>& calls, unsigned action) {
#ifdef __SANITIZE_ADDRESS__  // sanitizers' own checks open files and pipes
  return false;
#endif
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : calls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, action));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

// No /proc in this process. False: not to be had, without root for example.
inline bool take_proc_away() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::umount2("/proc", MNT_DETACH) == 0 && ::access("/proc/self/maps", F_OK) != 0;
}

}  // namespace weir::test
