// Four interpreters in four threads, each with a heap of its own, at once; and several in one
// thread.
#include <mruby.h>
#include <mruby/compile.h>
#include <mruby/string.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr char kProgram[] = R"(
  class Node
    attr_accessor :next, :value
    def initialize(value, following) @value, @next = value, following end
  end
  kept = {}
  sum = 0
  200.times do |round|
    list = nil
    500.times { |i| list = Node.new("#{SEED}-#{i}", list) }
    kept[round % 20] = list
    f = Fiber.new { |x| loop { x = Fiber.yield(x + [round]) } }
    sum += f.resume([1, 2]).size
    (sum += list.value.size; list = list.next) while list
  end
  GC.start
  kept.each_value { |n| (sum += n.value.size; n = n.next) while n }
  sum.to_s
)";

std::string run(int seed) {
  mrb_state* mrb = mrb_open();
  if (mrb == nullptr) return "no interpreter";
  mrb_define_global_const(mrb, "SEED", mrb_fixnum_value(seed));
  const mrb_value value = mrb_load_string(mrb, kProgram);
  std::string result = mrb->exc != nullptr ? "an exception" : std::string(RSTRING_PTR(value));
  mrb_close(mrb);
  return result;
}

}  // namespace

int main() {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5;
  std::string expected[kThreads];
  for (int i = 0; i < kThreads; ++i) expected[i] = run(i);
  int wrong = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::string found[kThreads];
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([&found, i] { found[i] = run(i); });
    for (std::thread& thread : threads) thread.join();
    for (int i = 0; i < kThreads; ++i) {
      if (found[i] == expected[i]) continue;
      std::printf("thread %d: %s instead of %s\n", i, found[i].c_str(), expected[i].c_str());
      ++wrong;
    }
  }
  std::printf("%d interpreters in %d threads: %s\n", kRounds * kThreads, kThreads,
              expected[0].c_str());
  return wrong != 0 || expected[0].find_first_not_of("0123456789") != std::string::npos;
}
