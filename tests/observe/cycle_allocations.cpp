// A cycle is recorded, logged and traced without allocation: a mutator that is stopped inside
// malloc holds nobody up.
#include <cstdio>
#include <cstdlib>

#include "runtime/observe/event_stream.hpp"
#include "tests/support/counted_malloc.hpp"

using namespace weir::observe;

int main() {
  char path[] = "/tmp/weir-cycle-allocations-XXXXXX";
  const int fd = ::mkstemp(path);
  if (fd < 0) return std::perror("mkstemp"), 1;
  auto stream = EventStream::create(2, {true, path});
  if (!stream) return std::puts(stream.error().message().c_str()), 1;
  auto mutator = (*stream)->add_mutator();
  if (!mutator) return std::puts(mutator.error().message().c_str()), 1;
  const bool counts = allocations > 0;

  const std::size_t before = allocations;
  for (int cycle = 0; cycle < 3; ++cycle) {
    (*stream)->begin_cycle(CycleKind::minor, Reason::requested);
    (*stream)->phase(Phase::mark);
    for (int i = 0; i < 10000; ++i) {  // more than fit
      const Span marking((*stream)->marker(1), Activity::marking);
      (*mutator)->instant(Instant::out_of_memory, 16);
    }
    (*stream)->phase(Phase::resume);
    (*stream)->end_cycle({});
    (*stream)->publish();
  }
  const std::size_t made = allocations - before;
  const bool lost = (*stream)->statistics().events_lost > 0;
  ::remove(path);
  std::printf("3 cycles, %zu allocations; %s, %s\n", made,
              counts ? "they are counted" : "but they are NOT COUNTED",
              lost ? "rings overflowed" : "but rings DID NOT OVERFLOW");
  return counts && lost && made == 0 ? 0 : 1;
}
