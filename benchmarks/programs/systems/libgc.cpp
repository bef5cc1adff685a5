#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "benchmarks/programs/systems/system.hpp"

static bool is_asked_for(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value == '1';
}

// libgc gets its memory by this. With PROGRAM_HUGE_PAGES=1 it gets huge pages where it would with
// transparent huge pages set to `always`, though the system's setting is `madvise`.
extern "C" void* mmap(void* address, size_t bytes, int protection, int flags, int descriptor,
                      off_t offset) noexcept {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  void* memory = reinterpret_cast<void*>(
      syscall(SYS_mmap, address, bytes, protection, flags, descriptor, offset));
  static const bool wanted = is_asked_for("PROGRAM_HUGE_PAGES");
  if (wanted && memory != MAP_FAILED && (flags & MAP_ANONYMOUS) != 0)
    madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

namespace weir::programs {
namespace {

struct Stops {
  std::uint64_t began = 0;
  std::uint64_t total = 0;
  std::vector<std::uint64_t> lengths;
};
Stops stops;

// Called with libgc's lock held, by the thread that collects.
void on_event(GC_EventType event) {
  if (event == GC_EVENT_PRE_STOP_WORLD) {
    stops.began = now_ns();
  } else if (event == GC_EVENT_POST_START_WORLD && stops.began != 0) {
    stops.lengths.push_back(now_ns() - stops.began);  // the world runs again: malloc is free
    stops.total += stops.lengths.back();
    stops.began = 0;
  }
}

bool is_main_thread() {
  return gettid() == getpid();
}

}  // namespace

void give_up() {
  std::fputs("libgc: out of memory\n", stderr);
  std::exit(1);
}

Heap::Heap(const HeapSetup& setup) {
  stops.lengths.reserve(4096);
  GC_INIT();
  GC_set_on_collection_event(on_event);
  if (setup.mutators > 1) GC_allow_register_threads();  // which starts the markers, too
  if (is_asked_for("PROGRAM_MARKERS")) GC_start_mark_threads();
}

Collections Heap::collections() const {
  Collections all;
  all.stopped_ns = stops.total;
  all.count = GC_get_gc_no();
  if (GC_is_incremental_mode() == 0) {
    all.minor = 0;
    all.full = all.count;
  }
  all.pauses = summary_of(stops.lengths);
  return all;
}

Mutator::Mutator(Heap& heap) : heap_(heap) {
  if (is_main_thread()) return;
  GC_stack_base base;
  registered_ =
      GC_get_stack_base(&base) == GC_SUCCESS && GC_register_my_thread(&base) == GC_SUCCESS;
  if (!registered_) give_up();
}

Mutator::~Mutator() {
  if (registered_) GC_unregister_my_thread();
}

}  // namespace weir::programs
