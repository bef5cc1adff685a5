// The inline allocation by itself, for fast_path_instructions.
#include <weir/weir.h>

extern "C" void* allocate_32(weir_mutator* mutator, weir_kind kind) {
  return weir_allocate(mutator, kind, 32);
}
