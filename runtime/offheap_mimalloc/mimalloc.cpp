// Off-heap memory by mimalloc: the library weir::mimalloc. A program that links it gets it as the
// default, and mimalloc as its malloc as well (Debian's libmimalloc is built so); libweir itself
// never links it. mimalloc's lists belong to threads and are shared without locks, so a stopped
// thread holds nothing up.

#include <mimalloc.h>

#include "runtime/os/off_heap.hpp"

namespace {

// mimalloc clears zeroed memory by hand, whatever its size: a large table that is used here and
// there would be resident as a whole. Those are plain mappings here, too; of a heap that may have
// 64 GiB, so are fifteen bitmaps with a bit for each block.
constexpr std::size_t kLarge = 128 << 10;

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (bytes >= kLarge) return weir::os::off_heap_system().allocate(bytes, alignment);
  return mi_zalloc_aligned(bytes, alignment);
}

void release(void* memory, std::size_t bytes, std::size_t alignment) {
  if (bytes >= kLarge) return weir::os::off_heap_system().free(memory, bytes, alignment);
  mi_free(memory);
}

constexpr weir::os::OffHeapBackend kMimalloc = {"mimalloc", allocate, release};

}  // namespace

// Named on the link line (--undefined), else the linker would drop this file from its archive.
extern "C" [[gnu::constructor]] void weir_link_mimalloc() {
  weir::os::off_heap_link(kMimalloc);
}
