// Counts the instructions of the inline allocation of 32 bytes as it runs: a child allocates, and
// is single-stepped from the call of allocate_32 to its return.
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/weir.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

extern "C" void* allocate_32(weir_mutator* mutator, weir_kind kind);

namespace {

constexpr int kSkipped = 77;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "fast_path_instructions: %s\n", what);
  std::_Exit(1);
}

#if defined(__x86_64__)

constexpr int kMost = 12;  // without the return

// Where the child waits between what is counted and what is not.
void pause_child() {
  ::raise(SIGSTOP);
}

[[noreturn]] void child(weir_kind kind) {
  weir_heap* heap = nullptr;
  weir_mutator* mutator = nullptr;
  if (weir_heap_create(nullptr, &heap) != WEIR_OK ||
      weir_mutator_attach(heap, nullptr, &mutator) != WEIR_OK)
    give_up(weir_error_message());
  // The first allocation gets the span, the second does not have to.
  if (allocate_32(mutator, kind) == nullptr) give_up("out of memory");
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) std::_Exit(kSkipped);
  pause_child();
  if (allocate_32(mutator, kind) == nullptr) give_up("out of memory");
  std::_Exit(0);
}

user_regs_struct registers_of(pid_t pid) {
  user_regs_struct registers;
  if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) give_up("PTRACE_GETREGS");
  return registers;
}

// False: the child has ended.
bool step(pid_t pid) {
  int status = 0;
  if (::ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0 || ::waitpid(pid, &status, 0) != pid)
    give_up("PTRACE_SINGLESTEP");
  return WIFSTOPPED(status);
}

int count_instructions(weir_kind kind) {
  const pid_t pid = ::fork();
  if (pid == 0) child(kind);
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) give_up("fork");
  if (WIFEXITED(status)) std::exit(WEXITSTATUS(status));

  const auto function = reinterpret_cast<std::uintptr_t>(&allocate_32);
  while (registers_of(pid).rip != function)
    if (!step(pid)) give_up("allocate_32 was not called");
  const std::uintptr_t stack = registers_of(pid).rsp;
  int count = 0;
  for (; registers_of(pid).rsp <= stack; ++count) {
    // The return takes its address off the stack; the last step is it.
    if (!step(pid)) give_up("allocate_32 did not return");
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, &status, 0);
  return count - 1;
}

int check() {
  bool good = true;
  for (const weir_kind kind : {WEIR_KIND_SLOTS, WEIR_KIND_LEAF}) {
    const int count = count_instructions(kind);
    std::printf("kind %#x: %d instructions; at most %d are allowed\n", kind, count, kMost);
    good = good && count > 0 && count <= kMost;
  }
  return good ? 0 : 1;
}

#else

int check() {
  std::printf("skipped: the instructions are counted on x86-64 only\n");
  return kSkipped;
}

#endif

}  // namespace

int main() {
  return check();
}
