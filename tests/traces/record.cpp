// Records which old pages a benchmark program writes in which cycle, for the tests of the arming
// policy: the program itself, with its main renamed and the creation of its heap looked at. To be
// run with WEIR_BARRIER=cards, which leaves no page unarmed, and WEIR_DETERMINISTIC=1; stdout is
// the program's, the trace goes to stderr. tests/traces/README.md has the commands.
#include <weir/weir.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <random>
#include <vector>

#include "runtime/barrier/fault_injection.hpp"

int program_main(int argc, char** argv);

namespace {

constexpr std::size_t kCycles = 240, kPages = 64, kPageBytes = 4096;

bool is_watched = false;  // the self-test of the barrier is over, and something was written
std::uint64_t cycle = 0;
std::map<std::uintptr_t, std::vector<bool>> writes;  // by page

// Called for each run of cards that a cycle finds written.
bool record(weir::Range run) {
  if (!is_watched || cycle >= kCycles) return false;
  for (std::uintptr_t page = run.begin.value() / kPageBytes;
       page <= (run.end().value() - 1) / kPageBytes; ++page) {
    std::vector<bool>& page_writes = writes[page];
    page_writes.resize(kCycles);
    page_writes[cycle] = true;
  }
  return false;
}

// Roots come after what was written, in each cycle.
void count_cycle(weir_visitor*, void*) {
  if (!writes.empty()) ++cycle;
}

// A line of hexadecimal digits for each of some pages, four cycles to a digit, the first one the
// highest bit.
void print() {
  std::vector<std::vector<bool>> pages;
  for (auto& [page, page_writes] : writes)
    if (std::count(page_writes.begin(), page_writes.end(), true) > 1) pages.push_back(page_writes);
  std::mt19937_64 random(1);
  std::shuffle(pages.begin(), pages.end(), random);
  pages.resize(std::min(pages.size(), kPages));
  for (const std::vector<bool>& page : pages) {
    for (std::size_t at = 0; at < kCycles; at += 4) {
      unsigned digit = 0;
      for (std::size_t i = 0; i < 4; ++i) digit = 2 * digit + (page[at + i] ? 1 : 0);
      std::fprintf(stderr, "%x", digit);
    }
    std::fprintf(stderr, "\n");
  }
}

}  // namespace

extern "C" weir_status __real_weir_heap_create(const weir_config* config, weir_heap** made);
extern "C" weir_status __wrap_weir_heap_create(const weir_config* config, weir_heap** made) {
  const weir_status status = __real_weir_heap_create(config, made);
  if (status != WEIR_OK) return status;
  is_watched = true;
  return weir_roots_add_callback(*made, count_cycle, nullptr);
}

int main(int argc, char** argv) {
  weir::barrier::FaultInjection::report = record;
  const int status = program_main(argc, argv);
  print();
  return status;
}
