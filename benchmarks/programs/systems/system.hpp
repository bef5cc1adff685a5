// The allocation interface that the programs are written against. Each executable is built for one
// system, whose header is included here and has these, inlined, so that it is used as its users do:
//
//   kSystem                     its name
//   kFrees                      whether the program has to say what is dead
//   Heap(setup)                 one for the process
//   Mutator(heap)               one for each thread that allocates, made by it, on its stack
//     make<T>()                 a T of zeros; it has references: bit i of T::kReferences is set if
//                               word i is one
//     make_array<T>(count)      zeros; T is a pointer or a number
//     make_bytes(count)         all of which the program writes at once, so they need not be zeros
//     store(object, slot, value)  a reference, into an object that may be older than the last
//                               collection. Into one that was made since the last make or
//                               safepoint the program stores by itself, as it does numbers
//     release(object)           nobody refers to it any more
//     safepoint()               in loops that do not allocate
//     without_heap(work)        for what waits: `work` touches no object
//
// What a stack refers to, or an object that is alive, is alive; static data is no root.
#pragma once

#include <cstddef>
#include <cstdint>

#include "benchmarks/programs/harness/collections.hpp"
#include "benchmarks/programs/harness/utilisation.hpp"

namespace weir::programs {

struct HeapSetup {
  std::size_t bytes = 0;  // of the heap, where the system can be told; 0: as the system decides
  unsigned mutators = 1;  // at most so many at once
  std::size_t nursery_bytes = 0;  // between two collections, where the system can be told
};

// What mutators of all systems have.
class MutatorClock {
 public:
  void begin_repetition() { pulse_.begin(); }
  // Of programs: in loops that neither allocate nor release, which do it by themselves. The long
  // one is for work of some tenths of a microsecond.
  void beat() { pulse_.beat(); }
  void long_beat() { pulse_.long_beat(); }

 protected:
  Pulse pulse_;
};

}  // namespace weir::programs

#if defined(WEIR_PROGRAMS_ON_WEIR)
#include "benchmarks/programs/systems/weir.hpp"
#elif defined(WEIR_PROGRAMS_ON_LIBGC)
#include "benchmarks/programs/systems/libgc.hpp"
#elif defined(WEIR_PROGRAMS_ON_MIMALLOC)
#include "benchmarks/programs/systems/mimalloc.hpp"
#elif defined(WEIR_PROGRAMS_ON_LIMIT)
#include "benchmarks/programs/systems/limit.hpp"
#else
#error "programs are built for a system: see benchmarks/programs/CMakeLists.txt"
#endif
