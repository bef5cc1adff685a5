// What mruby asks its allocator for: bodies of arrays and hashes, tables, contexts, stacks, code.
// It lies in the heap, every word of it may refer to anything, and it dies when nothing refers to
// it any more, or when mruby frees it. The allocator that a state was opened with is asked for the
// state only.
#include <mruby.h>
#include <mruby/error.h>
#include <mruby/string.h>

#include "gc_demo/mruby/port.hpp"

extern "C" [[noreturn]] void mrb_raise_nomemory(mrb_state* mrb);

namespace weir::mruby {

void keep_reserve(Port& port) {
  constexpr std::size_t kReserve = std::size_t{256} << 10;
  if (port.reserve != nullptr) return;
  weir_no_collect_begin(port.mutator);
  port.reserve = weir_allocate(port.mutator, WEIR_KIND_LEAF, kReserve);
  weir_no_collect_end(port.mutator);
}

void raise_no_memory(mrb_state* mrb) {
  Port& port = port_of(mrb);
  if (port.reserve != nullptr) (void)weir_free_early(port.mutator, port.reserve);
  port.reserve = nullptr;
  mrb->gc.out_of_memory = true;
  mrb_raise_nomemory(mrb);
}

}  // namespace weir::mruby

using namespace weir::mruby;

extern "C" {

void* mrb_realloc_simple(mrb_state* mrb, void* old, size_t bytes) {
  Port& port = port_of(mrb);
  if (bytes == 0) {
    mrb_free(mrb, old);
    return nullptr;
  }
  const auto allocate = [&] {
    return old != nullptr ? weir_reallocate(port.mutator, old, bytes)
                          : weir_allocate(port.mutator, WEIR_KIND_CONSERVATIVE, bytes);
  };
  void* memory = allocate();
  if (memory == nullptr) [[unlikely]] {
    mrb_full_gc(mrb);
    memory = allocate();
    if (memory == nullptr) return nullptr;
  }
  if (port.marks_cards) note_new_memory(port, memory, bytes);
  return memory;
}

void* mrb_realloc(mrb_state* mrb, void* old, size_t bytes) {
  void* memory = mrb_realloc_simple(mrb, old, bytes);
  if (bytes == 0) return memory;
  if (memory == nullptr) raise_no_memory(mrb);
  mrb->gc.out_of_memory = false;
  return memory;
}

void* mrb_malloc(mrb_state* mrb, size_t bytes) {
  return mrb_realloc(mrb, nullptr, bytes);
}

void* mrb_malloc_simple(mrb_state* mrb, size_t bytes) {
  return mrb_realloc_simple(mrb, nullptr, bytes);
}

void* mrb_calloc(mrb_state* mrb, size_t count, size_t bytes) {
  if (count == 0 || bytes == 0 || count > SIZE_MAX / bytes) return nullptr;
  return mrb_malloc(mrb, count * bytes);  // zeros
}

void mrb_free(mrb_state* mrb, void* memory) {
  if (memory == mrb) {  // the last call of all
    detach(mrb);
    mrb->allocf(mrb, mrb, 0, mrb->allocf_ud);
  } else if (memory != nullptr && !port_of(mrb).is_closing) {
    (void)weir_free_early(port_of(mrb).mutator, memory);
  }
}

void* mrb_alloca(mrb_state* mrb, size_t bytes) {
  auto* keeper = reinterpret_cast<RString*>(mrb_obj_alloc(mrb, MRB_TT_STRING, mrb->string_class));
  return keeper->as.heap.ptr = static_cast<char*>(mrb_malloc(mrb, bytes));
}

}  // extern "C"
