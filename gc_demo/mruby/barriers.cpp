// mruby's write barriers. The MMU sees every write, so they do nothing, and what mruby's sources
// never report (bodies, tables and stacks that are replaced or written) is seen, too.
//
// With WEIR_BARRIER=cards they mark cards, for comparison. mruby names the object that was written
// and not the slot, so all cards of the object and of the memory that it owns are marked, once in
// each cycle. What it reports to nobody is looked at in each minor collection: the stacks that run,
// global variables, and memory allocated since the last one, which may have been put anywhere.
#include <mruby.h>
#include <mruby/array.h>
#include <mruby/hash.h>
#include <mruby/proc.h>
#include <mruby/variable.h>

#include "gc_demo/mruby/port.hpp"

using namespace weir::mruby;

namespace {

constexpr std::uint32_t kWritten = 1;  // a color of an object; mruby's own means nothing any more
constexpr std::size_t kCard = std::size_t{1} << WEIR_CARD_SHIFT;

// As in mruby's variable.c and class.c: values, then as many keys.
struct Table {
  int size, room;
  mrb_value* values;
};
constexpr std::size_t kTableEntry = sizeof(mrb_value) + sizeof(mrb_sym);
// As in its hash.c.
struct HashTable {
  mrb_value* entries;
};

// visit(begin, bytes) for the memory that the object owns.
template <class Visit>
void for_each_table(const Table* table, Visit&& visit) {
  if (table == nullptr) return;
  visit(table, sizeof *table);
  visit(table->values, std::size_t(table->room) * kTableEntry);
}

template <class Visit>
void for_each_stack(const mrb_context* context, Visit&& visit) {
  if (context == nullptr) return;
  visit(context, sizeof *context);
  visit(context->stbase, std::size_t(context->stend - context->stbase) * sizeof(mrb_value));
  visit(context->cibase, std::size_t(context->ciend - context->cibase) * sizeof(mrb_callinfo));
}

template <class Visit>
void for_each_owned(RBasic* object, Visit&& visit) {
  switch (object->tt) {
    case MRB_TT_CLASS:
    case MRB_TT_MODULE:
    case MRB_TT_SCLASS:
    case MRB_TT_ICLASS:
      for_each_table(reinterpret_cast<Table*>(reinterpret_cast<RClass*>(object)->mt), visit);
      [[fallthrough]];
    case MRB_TT_OBJECT:
    case MRB_TT_DATA:
    case MRB_TT_EXCEPTION:
      return for_each_table(reinterpret_cast<Table*>(reinterpret_cast<RObject*>(object)->iv),
                            visit);
    case MRB_TT_HASH: {
      const auto* hash = reinterpret_cast<RHash*>(object);
      for_each_table(reinterpret_cast<Table*>(hash->iv), visit);
      const std::size_t bytes = std::size_t{hash->ea_capa} * 2 * sizeof(mrb_value);
      if ((hash->flags & MRB_HASH_HT) == 0) return visit(hash->hsh.ea, bytes);
      const auto* table = reinterpret_cast<HashTable*>(hash->hsh.ht);
      visit(table, sizeof *table);
      return visit(table->entries, bytes);
    }
    case MRB_TT_ARRAY:
    case MRB_TT_STRUCT: {
      const auto* array = reinterpret_cast<RArray*>(object);
      if (ARY_EMBED_P(array)) return;
      const auto room = ARY_SHARED_P(array) ? array->as.heap.len : array->as.heap.aux.capa;
      return visit(array->as.heap.ptr, std::size_t(room) * sizeof(mrb_value));
    }
    case MRB_TT_ENV: {
      const auto* env = reinterpret_cast<REnv*>(object);
      return visit(env->stack, std::size_t(MRB_ENV_LEN(env)) * sizeof(mrb_value));
    }
    case MRB_TT_FIBER:
      return for_each_stack(reinterpret_cast<RFiber*>(object)->cxt, visit);
    default:
      return;
  }
}

void mark_cards(Port& port, const void* begin, std::size_t bytes) {
  if (begin == nullptr || bytes == 0) return;
  auto* at = static_cast<char*>(const_cast<void*>(begin));
  for (std::size_t offset = 0; offset < bytes; offset += kCard)
    weir_write_barrier(port.mutator, at, at + offset);
  weir_write_barrier(port.mutator, at, at + bytes - 1);
}

void mark_written(Port& port, RBasic* object) {
  if (object->color == kWritten) return;
  object->color = kWritten;
  port.written.push_back(object);
  const auto mark = [&](const void* begin, std::size_t bytes) { mark_cards(port, begin, bytes); };
  mark(object, port.kinds[object->tt].bytes);
  for_each_owned(object, mark);
}

}  // namespace

namespace weir::mruby {

// Or what has become larger where it was, after its owner was marked.
void note_new_memory(Port& port, void* memory, std::size_t bytes) {
  mark_cards(port, memory, bytes);
  if (port.is_new_memory_old) port.new_memory.clear();
  port.is_new_memory_old = false;
  port.new_memory.push_back(memory);
}

void visit_unbarriered(mrb_state* mrb, weir_visitor* visitor) {
  Port& port = port_of(mrb);
  for (RBasic* object : port.written) object->color = 0;
  port.written.clear();
  const auto visit = [visitor](const void* begin, std::size_t bytes) {
    if (begin != nullptr)
      weir_visit_conservatively(visitor, begin, static_cast<const char*>(begin) + bytes);
  };
  visit(port.new_memory.data(), port.new_memory.size() * sizeof(void*));
  port.is_new_memory_old = true;
  for_each_table(reinterpret_cast<Table*>(mrb->globals), visit);
  for (mrb_context* context = mrb->c; context != nullptr; context = context->prev)
    for_each_stack(context, visit);
  for_each_stack(mrb->root_c, visit);
}

}  // namespace weir::mruby

extern "C" {

void mrb_write_barrier(mrb_state* mrb, RBasic* object) {
  Port& port = port_of(mrb);
  if (port.marks_cards) mark_written(port, object);
}

void mrb_field_write_barrier(mrb_state* mrb, RBasic* object, RBasic* /*value*/) {
  mrb_write_barrier(mrb, object);
}

}  // extern "C"
