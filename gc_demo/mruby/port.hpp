// What the functions of this folder share: mruby's state, the Weir heap that it lives in, and how
// they find each other. They stand for mruby's gc.o, whose functions they define, all of them.
//
// A mrb_state has a heap of its own and runs on the thread that opened it. Objects are of precise
// kinds, one for each type; what mruby asks its allocator for is of the built-in conservative kind.
#pragma once

#include <mruby.h>
#include <mruby/class.h>
#include <mruby/data.h>
#include <mruby/gc.h>
#include <weir/weir.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::mruby {

// What is old may become so many times as much until a full collection: mruby's own default.
inline constexpr double kGrowth = 2;

// Of an mrb_vtype.
struct ObjectKind {
  weir_kind kind;
  std::uint32_t bytes;
};

struct Port {
  weir_heap* heap = nullptr;
  weir_mutator* mutator = nullptr;
  ObjectKind kinds[MRB_TT_MAXDEFINE] = {};
  void* reserve = nullptr;
  bool has_collected = false;  // since the last after_collection()
  bool is_closing = false;     // what is freed goes with the heap
  std::vector<RData*> data;    // all that are alive, but for those of an image; weakly
  // The barrier is `cards`, and mruby's calls are needed (barriers.cpp). Not whether cards are
  // kept: WEIR_VERIFY keeps them with any barrier, to compare them with what was written.
  bool marks_cards = false;
  std::vector<void*> new_memory;  // since the last collection
  bool is_new_memory_old = false;
  std::vector<RBasic*> written;
};

// In a member that mruby's own collector had for its first page.
inline Port& port_of(const mrb_state* mrb) {
  return *reinterpret_cast<Port*>(mrb->gc.heaps);
}

// NoMemoryError. A reserve is given up for it, since mruby allocates while it unwinds its stack,
// and kept again after the next collection.
[[noreturn]] void raise_no_memory(mrb_state* mrb);
void keep_reserve(Port& port);

// Makes the heap of a state, and has the two find each other. Ends the process with a sentence if
// the heap cannot be had: mruby knows no other answer at this point.
void attach(mrb_state* mrb);
void detach(mrb_state* mrb);
weir_status define_kinds(Port& port);

// At the next allocation of an object: finalizers run, and stacks are cleared above their tops.
void after_collection(mrb_state* mrb);
void clear_stacks(mrb_state* mrb);
// The same for Data that is alive when the state is closed.
void finalize_all(mrb_state* mrb);
void set_finalizer(mrb_state* mrb, RData* data);

// With the barrier `cards` only.
void note_new_memory(Port& port, void* memory, std::size_t bytes);
void visit_unbarriered(mrb_state* mrb, weir_visitor* visitor);

}  // namespace weir::mruby
