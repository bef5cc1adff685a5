#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "benchmarks/programs/systems/system.hpp"

namespace weir::programs {
namespace {

constexpr std::size_t kReserved = std::size_t{64} << 30;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "limit: %s\n", why);
  std::exit(1);
}

}  // namespace

Heap::Heap(const HeapSetup&) {
  void* memory = mmap(nullptr, kReserved, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) give_up("no 64 GiB of addresses");
  const char* huge_pages = std::getenv("PROGRAM_HUGE_PAGES");
  if (huge_pages != nullptr && *huge_pages == '1') madvise(memory, kReserved, MADV_HUGEPAGE);
  reserved_ = static_cast<char*>(memory);
  const std::size_t beyond = reinterpret_cast<std::uintptr_t>(reserved_) % kHugePage;
  begin_ = touched_ = reserved_ + (beyond == 0 ? 0 : kHugePage - beyond);
  end_ = reserved_ + kReserved;
  next_ = begin_;
}

Heap::~Heap() {
  munmap(reserved_, kReserved);
}

void Heap::begin_repetition() {
  touched_ = std::max(touched_, next_.load());
  next_ = begin_;
  utilisation_.forget();
}

char* Heap::take(std::size_t bytes) {
  bytes = (bytes + 63) & ~std::size_t{63};
  char* memory = next_.fetch_add(static_cast<std::ptrdiff_t>(bytes));
  if (memory + bytes > end_) give_up("64 GiB are used up: this program is not for it");
  return memory;
}

}  // namespace weir::programs
