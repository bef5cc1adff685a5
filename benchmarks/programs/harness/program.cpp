#include "benchmarks/programs/harness/program.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "benchmarks/programs/harness/collections.hpp"
#include "benchmarks/programs/harness/usage.hpp"

namespace weir::programs {
namespace {

struct Repetition {
  Usage used;
  std::uint64_t stopped_ns;
  Collections after;
  std::uint64_t checksum;
  std::uint64_t rss_peak_bytes;
  double mmu_10ms, mmu_100ms;
};

std::string whole(const std::optional<std::uint64_t>& value) {
  return value ? std::to_string(*value) : "null";
}

std::optional<std::uint64_t> difference(const std::optional<std::uint64_t>& to,
                                        const std::optional<std::uint64_t>& from) {
  if (!to) return to;
  return *to - from.value_or(0);
}

void print_pauses(const char* name, const std::optional<Pauses>& pauses) {
  if (pauses)
    std::printf(",\n \"%s\": {\"p50\": %llu, \"p99\": %llu, \"max\": %llu}", name,
                static_cast<unsigned long long>(pauses->p50_ns),
                static_cast<unsigned long long>(pauses->p99_ns),
                static_cast<unsigned long long>(pauses->max_ns));
  else
    std::printf(",\n \"%s\": null", name);
}

void print_repetition(const Repetition& one, const Collections& before, bool first) {
  std::printf("%s\n  {\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"gc_seconds\": %.6f,",
              first ? "" : ",", one.used.seconds, one.used.cpu_seconds,
              static_cast<double>(one.after.stopped_ns - before.stopped_ns) / 1e9);
  std::printf(" \"minor_faults\": %llu, \"major_faults\": %llu, \"rss_peak_bytes\": %llu,",
              static_cast<unsigned long long>(one.used.minor_faults),
              static_cast<unsigned long long>(one.used.major_faults),
              static_cast<unsigned long long>(one.rss_peak_bytes));
  std::printf(" \"mmu_10ms\": %.4f, \"mmu_100ms\": %.4f,", one.mmu_10ms, one.mmu_100ms);
  std::printf(" \"collections\": %llu, \"minor\": %s, \"full\": %s}",
              static_cast<unsigned long long>(one.after.count - before.count),
              whole(difference(one.after.minor, before.minor)).c_str(),
              whole(difference(one.after.full, before.full)).c_str());
}

void print_options(const Options& options) {
  const char* separator = "";
  for (const Option& option : options.all()) {
    const char* quote = option.words.empty() ? "" : "\"";
    std::printf("%s\"%s\": %s%s%s", separator, option.name.c_str(), quote, option.value.c_str(),
                quote);
    separator = ", ";
  }
}

void print(const Options& options, const std::vector<Repetition>& repetitions) {
  const Collections& all = repetitions.back().after;
  std::printf("{\"program\": \"%s\", \"system\": \"%s\", \"barrier\": ", options.program().c_str(),
              kSystem);
  std::printf(all.barrier.empty() ? "null" : "\"%s\"", all.barrier.c_str());
  std::printf(",\n \"options\": {");
  print_options(options);
  std::printf("},\n \"checksum\": \"%016llx\"",
              static_cast<unsigned long long>(repetitions.back().checksum));
  print_pauses("pauses_ns", all.pauses);
  print_pauses("minor_pauses_ns", all.minor_pauses);
  print_pauses("full_pauses_ns", all.full_pauses);
  std::printf(",\n \"repetitions\": [");
  Collections before;
  bool first = true;
  for (const Repetition& one : repetitions) {
    print_repetition(one, before, first);
    before = one.after;
    first = false;
  }
  std::printf("]}\n");
}

// Not inlined: what it leaves on the stack is below the next repetition's.
[[gnu::noinline]] Repetition repeat(Heap& heap, Mutator& mutator, const Options& options, Work work,
                                    const Usage& before) {
  heap.begin_repetition();
  mutator.begin_repetition();
  Repetition one{};
  one.checksum = work(mutator, options);
  mutator.end_repetition();
  one.used = Usage::now() - before;
  one.after = heap.collections();
  one.rss_peak_bytes = peak_rss_bytes();
  one.mmu_10ms = heap.utilisation().mmu_10ms();
  one.mmu_100ms = heap.utilisation().mmu_100ms();
  return one;
}

}  // namespace

int run(const Options& options, const HeapSetup& setup, Work work) {
  std::vector<Repetition> repetitions;
  Usage before = Usage::now();
  Heap heap(setup);
  {
    Mutator mutator(heap);
    while (repetitions.size() < options.whole("repetitions")) {
      repetitions.push_back(repeat(heap, mutator, options, work, before));
      if (repetitions.back().checksum != repetitions.front().checksum) {
        std::fprintf(stderr, "%s: repetition %zu has another checksum than the first\n",
                     options.program().c_str(), repetitions.size());
        return 1;
      }
      before = Usage::now();
    }
  }
  if (!repetitions.empty()) print(options, repetitions);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace weir::programs
