// The module GC, and the C functions that collect. What mruby's own collector could be told and
// Weir cannot is an error, not a silent nothing.
#include <mruby.h>
#include <mruby/class.h>
#include <mruby/error.h>
#include <mruby/hash.h>
#include <mruby/string.h>

#include <cstring>

#include "gc_demo/mruby/port.hpp"

using namespace weir::mruby;

namespace {

mrb_value start(mrb_state* mrb, mrb_value /*self*/) {
  mrb_full_gc(mrb);
  return mrb_nil_value();
}

mrb_value set_disabled(mrb_state* mrb, bool disabled) {
  const bool before = mrb->gc.disabled;
  if (disabled && !before) weir_no_collect_begin(port_of(mrb).mutator);
  if (!disabled && before) weir_no_collect_end(port_of(mrb).mutator);
  mrb->gc.disabled = disabled;
  return mrb_bool_value(before);
}

mrb_value enable(mrb_state* mrb, mrb_value /*self*/) {
  return set_disabled(mrb, false);
}

mrb_value disable(mrb_state* mrb, mrb_value /*self*/) {
  return set_disabled(mrb, true);
}

bool is_generational(mrb_state* mrb) {
  return std::strcmp(weir_heap_barrier(port_of(mrb).heap), "none") != 0;
}

mrb_value generational_mode(mrb_state* mrb, mrb_value /*self*/) {
  return mrb_bool_value(is_generational(mrb));
}

mrb_value set_generational_mode(mrb_state* mrb, mrb_value /*self*/) {
  mrb_bool wanted;
  mrb_get_args(mrb, "b", &wanted);
  if (wanted != is_generational(mrb))
    mrb_raise(mrb, E_NOTIMP_ERROR,
              "a heap has generations from its beginning, or none: WEIR_GENERATIONS");
  return mrb_bool_value(wanted);
}

// A full collection comes when what is old has grown to this much of what the last one left, in
// percent.
mrb_value interval_ratio(mrb_state* mrb, mrb_value /*self*/) {
  return mrb_int_value(mrb, static_cast<mrb_int>(kGrowth * 100));
}

mrb_value set_ratio(mrb_state* mrb, mrb_value /*self*/) {
  mrb_raise(mrb, E_NOTIMP_ERROR, "Weir paces its collections by what they cost");
  return mrb_nil_value();
}

mrb_value step_ratio(mrb_state* /*mrb*/, mrb_value /*self*/) {
  return mrb_nil_value();  // a collection is one step
}

mrb_value stat(mrb_state* mrb, mrb_value /*self*/) {
  weir_statistics s;
  weir_heap_statistics(port_of(mrb).heap, &s);
  const struct {
    const char* name;
    std::uint64_t value;
  } counters[] = {{"count", s.collections},
                  {"minor_gc_count", s.minor_collections},
                  {"major_gc_count", s.full_collections},
                  {"time_ns", s.collection_ns},
                  {"pause_ns_p50", s.pause_ns_p50},
                  {"pause_ns_p99", s.pause_ns_p99},
                  {"pause_ns_max", s.pause_ns_max},
                  {"minor_pause_ns_max", s.minor_pause_ns_max},
                  {"full_pause_ns_max", s.full_pause_ns_max},
                  {"allocated_bytes", s.allocated_bytes},
                  {"live_bytes", s.live_bytes},
                  {"freed_bytes", s.freed_bytes},
                  {"heap_bytes", s.heap_bytes},
                  {"metadata_bytes", s.metadata_bytes},
                  {"trigger_bytes", s.trigger_bytes},
                  {"nursery_bytes", s.nursery_bytes},
                  {"pages_armed", s.pages_armed},
                  {"pages_dirty", s.pages_dirty},
                  {"pages_hot", s.pages_hot},
                  {"traps", s.traps},
                  {"finalizers", s.finalizers}};
  const mrb_value hash = mrb_hash_new(mrb);
  for (const auto& counter : counters)
    mrb_hash_set(mrb, hash, mrb_symbol_value(mrb_intern_cstr(mrb, counter.name)),
                 mrb_int_value(mrb, static_cast<mrb_int>(counter.value)));
  mrb_hash_set(mrb, hash, mrb_symbol_value(mrb_intern_lit(mrb, "barrier")),
               mrb_str_new_cstr(mrb, weir_heap_barrier(port_of(mrb).heap)));
  return hash;
}

}  // namespace

extern "C" {

void mrb_full_gc(mrb_state* mrb) {
  if (mrb->c == nullptr || mrb->gc.disabled) return;
  clear_stacks(mrb);
  (void)weir_collect(port_of(mrb).mutator);  // busy: inside a finalizer, which does without
  after_collection(mrb);
}

void mrb_garbage_collect(mrb_state* mrb) {
  mrb_full_gc(mrb);
}

void mrb_incremental_gc(mrb_state* mrb) {
  if (mrb->c == nullptr || mrb->gc.disabled) return;
  (void)weir_collect_minor(port_of(mrb).mutator);
  after_collection(mrb);
}

void mrb_init_gc(mrb_state* mrb) {
  RClass* gc = mrb_define_module(mrb, "GC");
  const struct {
    const char* name;
    mrb_func_t function;
    mrb_aspec arguments;
  } methods[] = {{"start", start, MRB_ARGS_NONE()},
                 {"enable", enable, MRB_ARGS_NONE()},
                 {"disable", disable, MRB_ARGS_NONE()},
                 {"stat", stat, MRB_ARGS_NONE()},
                 {"interval_ratio", interval_ratio, MRB_ARGS_NONE()},
                 {"interval_ratio=", set_ratio, MRB_ARGS_REQ(1)},
                 {"step_ratio", step_ratio, MRB_ARGS_NONE()},
                 {"step_ratio=", set_ratio, MRB_ARGS_REQ(1)},
                 {"generational_mode", generational_mode, MRB_ARGS_NONE()},
                 {"generational_mode=", set_generational_mode, MRB_ARGS_REQ(1)}};
  for (const auto& method : methods)
    mrb_define_class_method(mrb, gc, method.name, method.function, method.arguments);
}

}  // extern "C"
