// Objects: their kinds, by which they are traced, their allocation, and what keeps them.
#include <mruby.h>
#include <mruby/array.h>
#include <mruby/class.h>
#include <mruby/data.h>
#include <mruby/error.h>
#include <mruby/hash.h>
#include <mruby/istruct.h>
#include <mruby/proc.h>
#include <mruby/range.h>
#include <mruby/string.h>
#include <mruby/variable.h>

#include <algorithm>

#include "gc_demo/mruby/port.hpp"

using namespace weir::mruby;

namespace {

// Which of an object's words refer to others; the first of three words of header does, to its
// class. Arrays and strings say by their flags what is in theirs.
struct Layout {
  mrb_vtype type;
  const char* name;
  std::uint32_t bytes;
  std::uint64_t slots;
  weir_trace trace = nullptr;
};
constexpr std::uint64_t kClass = 1 << 0;
constexpr std::uint64_t k3 = 1 << 3, k4 = 1 << 4, k5 = 1 << 5;

class Slots {
 public:
  Slots(weir_visitor* visitor, void* object, std::size_t from, std::size_t to)
      : visitor_(visitor), from_(static_cast<char*>(object) + from), end_(from_ + (to - from)) {}
  void visit(void* slot) const {
    if (slot >= from_ && slot < end_) weir_visit(visitor_, slot);
  }

 private:
  weir_visitor* visitor_;
  char* from_;
  char* end_;
};

void trace_array(weir_visitor* visitor, void* object, std::size_t from, std::size_t to,
                 void* /*data*/) {
  const Slots slots(visitor, object, from, to);
  auto* array = static_cast<RArray*>(object);
  slots.visit(&array->c);
  if (ARY_EMBED_P(array)) {
    for (mrb_int i = 0; i < ARY_EMBED_LEN(array); ++i) slots.visit(array->as.ary + i);
    return;
  }
  if (ARY_SHARED_P(array)) slots.visit(&array->as.heap.aux);
  slots.visit(&array->as.heap.ptr);
}

void trace_string(weir_visitor* visitor, void* object, std::size_t from, std::size_t to,
                  void* /*data*/) {
  const Slots slots(visitor, object, from, to);
  auto* string = static_cast<RString*>(object);
  slots.visit(&string->c);
  if (RSTR_EMBED_P(string)) return;
  if (RSTR_SHARED_P(string) || RSTR_FSHARED_P(string)) slots.visit(&string->as.heap.aux);
  slots.visit(&string->as.heap.ptr);
}

constexpr std::uint32_t kSmall = 32, kLarge = 48;
constexpr std::uint32_t kNumberBytes = kLarge;  // of those whose structures mruby keeps to itself
constexpr Layout kLayouts[] = {
    {MRB_TT_INTEGER, "Integer", sizeof(RInteger), kClass},
    {MRB_TT_CPTR, "cptr", sizeof(RCptr), kClass | k3},
    {MRB_TT_OBJECT, "Object", sizeof(RObject), kClass | k3},
    {MRB_TT_CLASS, "Class", sizeof(RClass), kClass | k3 | k4 | k5},
    {MRB_TT_MODULE, "Module", sizeof(RClass), kClass | k3 | k4 | k5},
    {MRB_TT_ICLASS, "iClass", sizeof(RClass), kClass | k3 | k4 | k5},
    {MRB_TT_SCLASS, "SClass", sizeof(RClass), kClass | k3 | k4 | k5},
    {MRB_TT_PROC, "Proc", sizeof(RProc), kClass | k3 | k4 | k5},
    {MRB_TT_ARRAY, "Array", sizeof(RArray), 0, trace_array},
    {MRB_TT_HASH, "Hash", sizeof(RHash), kClass | k3 | k5},
    {MRB_TT_STRING, "String", sizeof(RString), 0, trace_string},
    {MRB_TT_RANGE, "Range", sizeof(RRange), kClass | k3 | k4},
    {MRB_TT_EXCEPTION, "Exception", sizeof(RException), kClass | k3 | k4},
    {MRB_TT_ENV, "env", sizeof(REnv), kClass | k3 | k4},
    {MRB_TT_DATA, "Data", sizeof(RData), kClass | k3 | k5},
    {MRB_TT_FIBER, "Fiber", sizeof(RFiber), kClass | k3},
    {MRB_TT_STRUCT, "Struct", sizeof(RArray), 0, trace_array},
    {MRB_TT_ISTRUCT, "istruct", sizeof(RIStruct), kClass},
    {MRB_TT_BREAK, "break", sizeof(RBreak), kClass | k3 | k4},
    {MRB_TT_COMPLEX, "Complex", kNumberBytes, kClass},
    {MRB_TT_RATIONAL, "Rational", kNumberBytes, kClass},
};
static_assert(std::ranges::all_of(kLayouts, [](const Layout& l) { return l.bytes <= kLarge; }));

[[gnu::noinline, gnu::cold]] void grow_arena(mrb_state* mrb) {
  mrb_gc& gc = mrb->gc;
  const int capacity = gc.arena_capa * 3 / 2;
  void* arena =
      weir_reallocate(port_of(mrb).mutator, gc.arena, sizeof(RBasic*) * std::size_t(capacity));
  if (arena == nullptr) raise_no_memory(mrb);
  gc.arena = static_cast<RBasic**>(arena);
  gc.arena_capa = capacity;
}

void protect(mrb_state* mrb, RBasic* object) {
  mrb_gc& gc = mrb->gc;
  if (gc.arena_idx >= gc.arena_capa) [[unlikely]]
    grow_arena(mrb);
  gc.arena[gc.arena_idx++] = object;
}

// Nothing to look at, and no finalizer.
bool is_usual(mrb_vtype type, const RClass* cls) {
  if (type <= MRB_TT_FREE || type == MRB_TT_DATA) return false;
  if (cls == nullptr) return true;
  if (cls->tt != MRB_TT_CLASS) return false;
  const auto declared = static_cast<mrb_vtype>(MRB_INSTANCE_TT(cls));
  return declared == type || declared == MRB_TT_FALSE;
}

void check_class(mrb_state* mrb, mrb_vtype type, RClass* cls) {
  if (cls != nullptr) {
    if (cls->tt != MRB_TT_CLASS && cls->tt != MRB_TT_SCLASS && cls->tt != MRB_TT_MODULE &&
        cls->tt != MRB_TT_ENV)
      mrb_raise(mrb, E_TYPE_ERROR, "allocation failure");
    const auto declared = static_cast<mrb_vtype>(MRB_INSTANCE_TT(cls));
    if (declared != MRB_TT_FALSE && declared != type && type != MRB_TT_SCLASS &&
        type != MRB_TT_ICLASS && type != MRB_TT_ENV)
      mrb_raisef(mrb, E_TYPE_ERROR, "allocation failure of %C", cls);
  }
  if (type <= MRB_TT_FREE || port_of(mrb).kinds[type].bytes == 0)
    mrb_raisef(mrb, E_TYPE_ERROR, "allocation failure of %C (type %d)", cls, int{type});
}

// Of the two sizes that there are, each a constant for the inlined allocation.
[[gnu::always_inline]] inline RBasic* allocate(const Port& port, mrb_vtype type) {
  const ObjectKind& kind = port.kinds[type];
  return static_cast<RBasic*>(kind.bytes <= kSmall
                                  ? weir_allocate(port.mutator, kind.kind, kSmall)
                                  : weir_allocate(port.mutator, kind.kind, kLarge));
}

RBasic* finish(mrb_state* mrb, RBasic* object, mrb_vtype type, RClass* cls) {
  object->c = cls;
  object->tt = type;
  protect(mrb, object);
  return object;
}

// Whatever the fast path below leaves: classes to be looked at, what is due after a collection,
// no memory, finalizers.
[[gnu::noinline]] RBasic* allocate_slowly(mrb_state* mrb, mrb_vtype type, RClass* cls) {
  check_class(mrb, type, cls);
  Port& port = port_of(mrb);
  if (port.has_collected) after_collection(mrb);
  RBasic* object = allocate(port, type);
  if (object == nullptr) {  // what stacks keep above their tops, and finalizers, may be in the way
    mrb_full_gc(mrb);
    object = allocate(port, type);
    if (object == nullptr) raise_no_memory(mrb);
  }
  finish(mrb, object, type, cls);
  if (type == MRB_TT_DATA) set_finalizer(mrb, reinterpret_cast<RData*>(object));
  return object;
}

}  // namespace

namespace weir::mruby {

weir_status define_kinds(Port& port) {
  for (const Layout& layout : kLayouts) {
    ObjectKind& kind = port.kinds[layout.type];
    kind.bytes = layout.bytes;
    const bool has_bitmap = layout.trace == nullptr;
    const weir_kind_config config{.name = layout.name,
                                  .tracing = has_bitmap ? WEIR_TRACE_BITMAP : WEIR_TRACE_CALLBACK,
                                  .bitmap = has_bitmap ? &layout.slots : nullptr,
                                  .bitmap_words = has_bitmap ? layout.bytes / sizeof(void*) : 0,
                                  .trace = layout.trace,
                                  .data = nullptr,
                                  .reaches_off_heap = false,
                                  .movable = false};
    if (const auto status = weir_kind_define(port.heap, &config, &kind.kind); status != WEIR_OK)
      return status;
  }
  return WEIR_OK;
}

}  // namespace weir::mruby

extern "C" {

RBasic* mrb_obj_alloc(mrb_state* mrb, mrb_vtype type, RClass* cls) {
  Port& port = port_of(mrb);
  if (!is_usual(type, cls) || port.has_collected || port.kinds[type].bytes == 0) [[unlikely]]
    return allocate_slowly(mrb, type, cls);
  RBasic* object = allocate(port, type);
  if (object == nullptr) [[unlikely]]
    return allocate_slowly(mrb, type, cls);
  return finish(mrb, object, type, cls);
}

void mrb_gc_protect(mrb_state* mrb, mrb_value object) {
  if (!mrb_immediate_p(object)) protect(mrb, mrb_basic_ptr(object));
}

// What C code registers is in an array that a global variable has, as mruby's own does it.
void mrb_gc_register(mrb_state* mrb, mrb_value object) {
  if (mrb_immediate_p(object)) return;
  const mrb_sym name = mrb_intern_lit(mrb, "_gc_root_");
  mrb_value kept = mrb_gv_get(mrb, name);
  if (!mrb_array_p(kept)) mrb_gv_set(mrb, name, kept = mrb_ary_new(mrb));
  mrb_ary_push(mrb, kept, object);
}

void mrb_gc_unregister(mrb_state* mrb, mrb_value object) {
  const mrb_value kept = mrb_gv_get(mrb, mrb_intern_lit(mrb, "_gc_root_"));
  if (mrb_immediate_p(object) || !mrb_array_p(kept)) return;
  for (mrb_int i = 0; i < RARRAY_LEN(kept); ++i)
    if (mrb_ptr(RARRAY_PTR(kept)[i]) == mrb_ptr(object)) {
      mrb_ary_splice(mrb, kept, i, 1, mrb_undef_value());
      return;
    }
}

// Weir traces by kinds and calls nobody that would ask for this.
void mrb_gc_mark(mrb_state* /*mrb*/, RBasic* /*object*/) {}

}  // extern "C"
