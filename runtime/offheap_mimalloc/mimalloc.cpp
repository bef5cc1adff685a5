// Off-heap memory by mimalloc: the library weir::mimalloc. A program that links it gets it as the
// default, and mimalloc as its malloc as well (Debian's libmimalloc is built so); libweir itself
// never links it. mimalloc's lists belong to threads and are shared without locks, so a stopped
// thread holds nothing up.

#include <mimalloc.h>

#include "runtime/os/off_heap.hpp"

namespace {

void* allocate(std::size_t bytes, std::size_t alignment) {
  return mi_zalloc_aligned(bytes, alignment);
}

void release(void* memory, std::size_t, std::size_t) {
  mi_free(memory);
}

constexpr weir::os::OffHeapBackend kMimalloc = {"mimalloc", allocate, release};

}  // namespace

// Named on the link line (--undefined), else the linker would drop this file from its archive.
extern "C" [[gnu::constructor]] void weir_link_mimalloc() {
  weir::os::off_heap_link(kMimalloc);
}
